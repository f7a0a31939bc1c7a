#!/usr/bin/perl

# Tests for trp_route: its forms, sources and addresses to listen on.

use strict;
use warnings;

use Test::More;

use IO::Select;
use IO::Socket::IP;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_realip /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$remote_addr $trp_destination $status";
    access_log %%TESTDIR%%/access.log trp;

    server {
        listen 127.0.0.1:8080 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp
        "$remote_addr:$server_port $trp_destination $status $ssl_protocol "
        "$proxy_protocol_addr";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:22;
        trp_route 127.0.0.1:%%PORT_8082%%:22;
        trp_route %%PORT_8083%%:10.0.0.5:22;
        trp_route 127.0.0.1:%%PORT_8084%%:localhost:22;

        trp_route 127.0.0.2/31:%%PORT_8085%%:[2001:db8::5]:22;
        trp_route [::1]:%%PORT_8086%%:22;
        trp_route [2001:db8::]/32:%%PORT_8087%%:22;

        trp_route %%PORT_8088%%:1 bind=127.0.0.1;
        trp_route 127.0.0.1:%%PORT_8088%%:2 bind=127.0.0.2;
        trp_route %%PORT_8088%%:3;

        proxy_pass relay;
    }

    server {
        trp_route 127.0.0.1:%%PORT_8089%%:22 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8090%%:22 bind=127.0.0.1 proxy_protocol;
        trp_route 192.0.2.0/24:%%PORT_8091%%:22 proxy_protocol;
        set_real_ip_from 127.0.0.1;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow all;
        return "$trp_destination from $remote_addr";
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$entry->write_file('localhost.key', $relay->read_file('localhost.key'));

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

$relay->run();
$reverse->run();
$entry->run()->plan(31 + 4);

# the four forms

is(ask(8081), '127.0.0.1:22 from 127.0.0.1', 'port:port');
is(ask(8081, '127.0.0.9'), '127.0.0.1:22 from 127.0.0.9', 'other source');
is(ask(8082), '127.0.0.1:22 from 127.0.0.1', 'ip:port:port');
is(ask(8083), '10.0.0.5:22 from 127.0.0.1', 'port:ip:port');
is(ask(8084), '127.0.0.1:22 from 127.0.0.1', 'ip:port:ip:port');
ok(wait_log($entry, qr/ localhost:22 200 - -$/, file => 'access.log'),
    'host name');

# sources

is(ask(8085, '127.0.0.2'), '[2001:db8::5]:22 from 127.0.0.2', 'block');
is(ask(8085, '127.0.0.3'), '[2001:db8::5]:22 from 127.0.0.3', 'its end');
is(ask(8085, '127.0.0.4'), '', 'not in the block');
is(ask(8082, '127.0.0.2'), '', 'not the source');
is(ask(8084, '127.0.0.2'), '', 'not the source, four parts');

ok(wait_log($entry, qr/^127.0.0.4:\d+ \S+:22 403 /, file => 'access.log'), 'status');
is(count_log($entry, qr/\[info\].* client: 127.0.0.4,/), 1, 'one line');
is(count_log($entry, qr/\[info\].* source is not allowed by "trp_route", /
    . qr/destination: "\[2001:db8::5\]:22".* client: 127.0.0.4,/), 1,
    'which says why');

is(ask(8089, '127.0.0.2'), '', 'not the source, TLS');
ok(wait_log($entry, qr/^127.0.0.2:${\port(8089)} \S+ 403 - -$/,
    file => 'access.log'), 'no handshake');
ok(wait_log($relay, qr/^127.0.0.3 /, file => 'access.log'), 'relay');
is(count_log($relay, qr/^127.0.0.4 /, file => 'access.log'), 0,
    'relay knows nothing of it');

# addresses to listen on

is(ask(8088), '127.0.0.1:1 from 127.0.0.1', 'bind');
is(ask(8088, '127.0.0.1', '127.0.0.2'), '127.0.0.1:2 from 127.0.0.1',
    'another address, the same port');
is(ask(8088, '127.0.0.3', '127.0.0.2'), '', 'its source');
is(ask(8088, '127.0.0.3', '127.0.0.3'), '127.0.0.1:3 from 127.0.0.3',
    'all other addresses');
is(ask(8090, '127.0.0.1', '127.0.0.2'), undef, 'only that address');


my $proxy = "PROXY TCP4 %s 192.0.2.9 123 5678\r\n";

is(ask(8090, undef, undef, sprintf $proxy, '192.0.2.1'),
    '127.0.0.1:22 from 192.0.2.1', 'PROXY protocol');
ok(wait_log($entry, qr/^192.0.2.1:${\port(8090)} 127.0.0.1:22 .* 192.0.2.1$/,
    file => 'access.log'), 'address in the log');
is(ask(8091, undef, undef, sprintf $proxy, '192.0.2.1'),
    '127.0.0.1:22 from 192.0.2.1', 'source in the PROXY protocol');
is(ask(8091, undef, undef, sprintf $proxy, '198.51.100.1'), '',
    'not the source in the PROXY protocol');

SKIP: {
    skip 'no IPv6', 4 if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

    is(ask(8081, '::1', '::1'), '127.0.0.1:22 from ::1', 'IPv6');
    is(ask(8086, '::1', '::1'), '127.0.0.1:22 from ::1', 'IPv6 source');
    is(ask(8086), '', 'not the IPv6 source');
    is(ask(8087, '::1', '::1'), '', 'not in the IPv6 block');
}


sub ask {
    my ($port, $source, $address, $data) = @_;

    my $s = IO::Socket::IP->new(
        PeerHost => $address || '127.0.0.1',
        PeerPort => port($port),
        LocalHost => $source,
    ) or return undef;

    $s->print($data) if defined $data;

    return IO::Select->new($s)->can_read(30) ? $s->getline() || '' : 'timeout';
}
