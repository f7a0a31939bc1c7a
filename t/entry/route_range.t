#!/usr/bin/perl

# Tests for trp_route with ranges of ports.

use strict;
use warnings;

use Test::More;

use IO::Socket::IP;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# 10 ports and 4 ports, one after another

my $first = port_range(8100, 10);
my $one = port_range(8200, 4);

relay_conf($relay, 8080);

$entry->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "\$server_port \$trp_destination \$trp_destination_port";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route $first-${\($first + 9)}:10.0.0.5:6000-6009;
        trp_route $one-${\($one + 3)}:[2001:db8::5]:22;
        trp_route %%PORT_8082%%:80;
        proxy_pass relay;
    }

    server {
        trp_route ${\($first + 2)}-${\($first + 4)}:host.test:1-3 bind=127.0.0.2;
        trp_route 192.0.2.0/24:${\($first + 5)}-${\($first + 6)}:9 bind=127.0.0.2;
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
        trp_reverse_allow 10.0.0.5:6000-6008 [2001:db8::5]:22 127.0.0.1;
        return "$trp_destination";
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

$relay->run();
$reverse->run();
$entry->run()->plan(20 + 4);

is(ask($first + $_), '10.0.0.5:600' . $_, "port $_ of a range") for 0 .. 8;
is(ask($first + 9), 'reset', 'the last one is not allowed at the reverse');

is(ask($one + $_), '[2001:db8::5]:22', 'all to one port') for 0 .. 3;
is(ask(port(8082)), '127.0.0.1:80', 'no range');

# the same ports on another address

is(ask($first + 1, '127.0.0.2'), '10.0.0.5:6001', 'before a range with bind');
is(ask($first + 7, '127.0.0.2'), '10.0.0.5:6007', 'after it');
is(ask($first + 5, '127.0.0.2'), 'reset', 'not the source of a range');
is(ask($first + 4, '127.0.0.2'), 'reset', 'a range to a name');

ok(wait_log($entry, qr/^${\($first + 4)} host\.test:3 3$/,
    file => 'access.log'), 'whose port is in the log');


sub ask {
    my ($port, $address) = @_;

    my $s = IO::Socket::IP->new(
        PeerHost => $address || '127.0.0.1',
        PeerPort => $port,
    ) or return undef;

    my $text = <$s>;

    return defined $text ? $text : $!{ECONNRESET} ? 'reset' : 'end';
}
