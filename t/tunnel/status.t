#!/usr/bin/perl

# Tests for $trp_status and $status on the three roles.

use strict;
use warnings;

use Test::More;

use IO::Select;
use IO::Socket::INET;
use Socket qw/ SHUT_WR inet_aton pack_sockaddr_in /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_access
    stream_limit_conn /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_destination_port $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    ssl_protocols TLSv1.3;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    trp_authorized_keys authorized_keys;

    server {
        listen 127.0.0.1:8080 ssl;
        trp_relay;
        trp_relay_open_timeout 500ms;
    }

    server {
        listen 127.0.0.1:8081 ssl;
        trp_relay;
        trp_relay_open_timeout 1h;
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

    log_format trp "$trp_destination_port $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream nobody {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_group nobody;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream late {
        server 127.0.0.1:8081;
        trp_entry;
        trp_entry_key entry;
        trp_entry_open_timeout 500ms;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream down {
        server 127.0.0.1:8089;
        trp_entry;
        trp_entry_key entry;
        trp_entry_open_timeout 500ms;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8101%%:%%PORT_8091%%;
        trp_route %%PORT_8102%%:%%PORT_8092%%;
        trp_route %%PORT_8103%%:%%PORT_8093%%;
        trp_route %%PORT_8104%%:10.0.0.5:4;
        trp_route %%PORT_8105%%:%%PORT_8095%%;
        trp_route 127.0.0.1:%%PORT_8106%%:%%PORT_8091%%;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8111%%:11;
        proxy_pass nobody;
    }

    server {
        trp_route %%PORT_8112%%:12;
        proxy_pass late;
    }

    server {
        trp_route %%PORT_8113%%:13;
        proxy_pass down;
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

    log_format trp "$trp_destination_port $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    limit_conn_zone $remote_addr zone=users:1m;

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        limit_conn users 2;
        deny 127.0.0.9;

        proxy_half_close on;
        proxy_connect_timeout 500ms;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

serve($reverse, port(8091), 'echo', digest => 0);
serve($reverse, port(8093), 'reset', after => 3);

# a destination that neither accepts nor refuses

my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
    LocalPort => port(8095), Listen => 1, ReuseAddr => 1)
    or die "can't listen: $!\n";
my @filling = fill_up(port(8095));

$relay->run();
$reverse->run();
$entry->run()->plan(44 + 4);

my $all = [ $entry, $relay, $reverse ];

# ok

my $s = connect_to(port(8101));
is(ask($s), 'SEE', 'answer');
shutdown $s, SHUT_WR;
is(end_of($s), 'eof', 'end');
logged($all, 'ok', port(8091), 'ok 200', 'ok 200', 'ok 200');

# an abort by the user, by the destination

$s = connect_to(port(8101));
is(ask($s), 'SEE', 'answer before the abort');
abort($s);
logged($all, 'user aborts', port(8091), ('aborted 200') x 3);

$s = connect_to(port(8103));
syswrite $s, 'SEE';
is(end_of($s), 'reset', 'destination aborts');
logged($all, 'destination aborts', port(8093), ('aborted 200') x 3);

# what cannot be opened

refused($all, 'refused', 8102, port(8092), 'refused 502', 'refused 502',
    'refused 502');
refused($all, 'not allowed', 8104, 4, 'not allowed 502', 'not allowed 403',
    'not allowed 403');
refused($all, 'timed out', 8105, port(8095), 'timed out 502', 'timed out 502',
    'timed out 502');
refused($all, 'no agent', 8111, 11, 'no agent 502', 'no agent 503');
refused($all, 'not opened in time', 8112, 12, 'timed out 502');
refused($all, 'no relay', 8113, 13, 'timed out 502');

ok(wait_log($relay, qr/\[error\].* no reverse in group "nobody" was there for /
    . qr/"127\.0\.0\.1:11"/), 'why there is no agent');

# what the reverse's server refuses

$s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8106),
    LocalAddr => '127.0.0.9') or die "can't connect: $!\n";
ok(end_of($s) ne 'timeout', 'not the source');
ok(wait_log($entry, qr/ not allowed 403$/, file => 'access.log'),
    'not the source: not allowed');

$s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8101),
    LocalAddr => '127.0.0.9') or die "can't connect: $!\n";
is(end_of($s), 'reset', 'denied');
logged($all, 'denied', port(8091), 'not allowed 502', 'not allowed 403',
    'not allowed 403');

my @users = map { connect_to(port(8101)) } 1 .. 2;
is(join(' ', map { ask($_) } @users), 'SEE SEE', 'as many as allowed');
refused($all, 'over the limit', 8101, port(8091), 'over the limit 502',
    'over the limit 503', 'over the limit 503');


sub ask {
    my ($s) = @_;

    syswrite $s, 'SEE';
    IO::Select->new($s)->can_read(30);
    sysread $s, my $answer, 16;
    return $answer;
}


sub refused {
    my ($all, $name, $port, $destination, @expected) = @_;

    is(end_of(connect_to(port($port))), 'reset', $name);
    logged($all, $name, $destination, @expected);
}


# the lines that entry, relay and reverse write

sub logged {
    my ($all, $name, $port, @expected) = @_;

    for my $t (@$all) {
        my $line = shift @expected or last;
        ok(wait_log($t, qr/^$port $line$/, file => 'access.log'),
            "$name: $line");
    }
}


# connections until no more are taken

sub fill_up {
    my ($port) = @_;
    my @sockets;

    do {
        my $s = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0)
            or die "can't make a socket: $!\n";
        connect $s, pack_sockaddr_in($port, inet_aton('127.0.0.1'));
        push @sockets, $s;

    } while (@sockets < 100 && IO::Select->new($sockets[-1])->can_write(0.3));

    return @sockets;
}
