#!/usr/bin/perl

# Tests for trp_route with variables: the destination is known after preread.

use strict;
use warnings;

use Test::More;

use IO::Socket::IP;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_ssl_preread stream_map /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8080);

my $first = port_range(8100, 4);

$entry->write_file_expand('nginx.conf', <<'EOC' =~ s/FIRST/$first/r);

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "[$ssl_preread_server_name] $trp_destination "
                   "$trp_destination_host $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    map $ssl_preread_server_name $dest {
        web.test    10.0.0.5:443;
        six.test    [2001:db8::5]:444;
        port.test   445;
        dot.test    db.example.:446;
        empty.test  "";
        bad.test    10.0.0.5;
        worse.test  "a b:22";
        range.test  10.0.0.5:1-2;
    }

    map $remote_addr $mine {
        127.0.0.1  10.0.0.1;
        default    10.0.0.2;
    }

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:$dest bind=127.0.0.1;
        ssl_preread on;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8082%%:$mine:22 bind=127.0.0.1;
        trp_route 127.0.0.2:%%PORT_8083%%:$mine:23 bind=127.0.0.1;
        trp_route FIRST-FIRST+:10.0.0.9:$server_port bind=127.0.0.1;
        trp_route %%PORT_8084%%:24 bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

$entry->write_file('nginx.conf',
    $entry->read_file('nginx.conf') =~ s/FIRST\+/$first + 3/er);

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
        trp_reverse_allow 10.0.0.0/8 [2001:db8::5]:444 127.0.0.1;
        return "$trp_destination";
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

$relay->run();
$reverse->run();
$entry->run()->plan(21 + 4);

is(tls('web.test'), '10.0.0.5:443', 'by the name in the ClientHello');
is(tls('six.test'), '[2001:db8::5]:444', 'IPv6');
is(tls('port.test'), '127.0.0.1:445', 'a port alone');
is(tls('dot.test'), 'reset', 'a name, not known at the reverse');

is(tls($_), 'reset', "refused: $_")
    for qw/ empty.test other.test bad.test worse.test range.test /;

my $log = sub { return wait_log($entry, $_[0], file => 'access.log') };

ok($log->(qr/^\[web.test\] 10.0.0.5:443 10.0.0.5 (ok|aborted) 200$/), 'log');
ok($log->(qr/^\[dot.test\] db.example:446 db.example no.*502$/), 'log, a name');
ok($log->(qr/^\[empty.test\]   no such host 502$/), 'log, empty');
ok($log->(qr/^\[bad.test\] 10.0.0.5  no such host 502$/), 'log, bad');

is(count_log($entry, qr/\[info\].* stream was refused: destination of /
    . qr/"trp_route" is empty,/), 2, 'a line for each empty one');
is(count_log($entry, qr/\[info\].* stream was refused: destination of /
    . qr/"trp_route" is not HOST:PORT, destination: "a b:22"/), 1,
    'a line for a bad one');

is(ask(port(8082)), '10.0.0.1:22', 'a variable host');
is(ask(port(8082), '127.0.0.2'), '10.0.0.2:22', 'for another user');
is(ask(port(8083), '127.0.0.2'), '10.0.0.2:23', 'with a source');
is(ask(port(8083)), 'reset', 'not the source');
is(ask($first + 2), '10.0.0.9:' . ($first + 2), 'a variable port');
is(ask(port(8084)), '127.0.0.1:24', 'a fixed one beside them');


sub tls {
    my ($name) = @_;

    return ask(port(8081), '127.0.0.1', hello($name));
}


# a ClientHello with the name

sub hello {
    my ($name) = @_;

    my $names = pack 'n/a*', pack 'C n/a*', 0, $name;
    my $body = pack 'n a32 C n/a* C/a* n/a*', 0x0303, 'random', 0,
        pack('n', 0x1301), "\0", pack('n n/a*', 0, $names);

    return pack 'C n n/a*', 22, 0x0301,
        "\1" . substr(pack('N', length $body), 1) . $body;
}


sub ask {
    my ($port, $source, $data) = @_;

    my $s = IO::Socket::IP->new(
        PeerHost => '127.0.0.1',
        PeerPort => $port,
        LocalHost => $source,
    ) or return undef;

    $s->print($data) if defined $data;

    my $text = <$s>;

    return defined $text ? $text : $!{ECONNRESET} ? 'reset' : 'end';
}
