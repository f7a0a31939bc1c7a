#!/usr/bin/perl

# Tests for trp_route with the parameters of the stock "listen".

use strict;
use warnings;

use Test::More;

use IO::Socket::IP;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8080);

my $families = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 2 : 1;

my $dual = $families == 1 ? ''
    : 'trp_route 127.0.0.1:%%PORT_8085%%:%%PORT_8090%% bind=[::] '
    . 'ipv6only=off;';

$entry->write_file_expand('nginx.conf', <<'EOC' =~ s/DUAL/$dual/r);

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%%;
        trp_route %%PORT_8082%%:%%PORT_8090%% reuseport;
        trp_route %%PORT_8083%%:%%PORT_8090%% so_keepalive=1h backlog=17;
        DUAL
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8084%%:%%PORT_8090%% bind=127.0.0.1 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
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
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$entry->write_file('localhost.key', $relay->read_file('localhost.key'));

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(13 + 4);

is(tcp_count(port(8081), 'LISTEN'), $families, 'IPv4 and IPv6');
is(tcp_count(port(8082), 'LISTEN'), 2 * $families, 'reuseport');
is(tcp_count(port(8084), 'LISTEN'), 1, 'bind');

for my $port (8081 .. 8083) {
    my $s = stream('127.0.0.1:' . port($port));
    is($s->io('SEE', length => 3), 'SEE', "port $port");

    next if $port == 8082;

    # 0: no timer, 1: data is on its way, 2: keepalive

    wait_for(sub { timer(port($port), $s->sockport()) =~ /[02]/ });
    is(timer(port($port), $s->sockport()), $port == 8083 ? 2 : 0,
        $port == 8083 ? 'so_keepalive' : 'no so_keepalive');
}

# one socket for both, and the source of a route is what it is

SKIP: {
    skip 'no IPv6', 3 if $families == 1;

    is(tcp_count(port(8085), 'LISTEN'), 1, 'ipv6only=off');

    my $s = stream('127.0.0.1:' . port(8085));
    is($s->io('SEE', length => 3), 'SEE', 'ipv6only=off, IPv4');

    $s = IO::Socket::IP->new(PeerHost => '::1', PeerPort => port(8085))
        or die "can't connect: $!\n";
    is((drain($s))[0], 0, 'ipv6only=off, not from IPv6');
}

SKIP: {
    my $ss = qx/ss -ltnH "sport = :${\port(8083)}" 2>&1/;
    skip 'no ss', 1 if $? != 0;

    my @queues = $ss =~ /^LISTEN +0 +17 /mg;
    is(@queues, $families, 'backlog');
}

SKIP: {
    skip 'no IO::Socket::SSL', 1 if !$entry->has_feature('socket_ssl');

    my $s = stream(PeerAddr => '127.0.0.1:' . port(8084), SSL => 1);
    is($s->io('SEE', length => 3), 'SEE', 'ssl');
}


# the timer of the accepted socket

sub timer {
    my ($port, $peer) = @_;
    my $re = sprintf '^ *\d+: \w+:%04X \w+:%04X 01 \w+:\w+ 0(\d):', $port,
        $peer;

    open my $fh, '<', '/proc/net/tcp' or return '';
    my @timers = map { /$re/ ? $1 : () } <$fh>;
    return "@timers";
}
