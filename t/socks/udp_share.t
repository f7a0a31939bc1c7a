#!/usr/bin/perl

# Tests for how many tunnels datagrams of SOCKS5 may take: half of a pool, so
# that connections find the other half; and for clients that share them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

# the entry has few tunnels in one group, the reverse in the other

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream few {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group few;
        trp_entry_pool idle=2 max=8;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream many {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group many;
        trp_entry_pool max=64;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    trp_socks5_udp_timeout 10m;

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass few;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_pass many;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        trp_socks5_user alice:a;
        trp_socks5_user bob:b;
        proxy_pass few;
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

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_allow 127.0.0.1;

    server {
        trp_reverse relay;
        trp_reverse_group few;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group many;
        trp_reverse_pool idle=2 max=8;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

my @peers = map { turn_peer('127.0.0.1') } 1 .. 16;
my @to = map { peer_addr($_) } @peers;

$relay->run_daemon(\&echo, $_) for @peers;
serve($reverse, port(8090), 'echo');

$relay->run();
$entry->run();
$reverse->run()->plan(15 + 2 * 2);

ok(wait_log($relay, qr/reverse ".*" .* has a tunnel in group "(?:few|many)"/,
    count => 4), 'tunnels');

# one client with 4 associations of 4 destinations each

my @udp = map { socks_udp(port(8080)) } 1 .. 4;

is(answered(map { my $n = $_; map { [ $udp[$n], $to[4 * $n + $_] ] } 0 .. 3 }
    0 .. 3), 16, 'all are served, one after the other');

is(connected(port(8080), 4), '0 0 0 0', 'half of the tunnels is for TCP');
is(count_log($entry, qr/ more destinations of datagrams than there are tunnels/),
    3, 'a line for each association but the last');

is(answered(map { [ $udp[3], $to[$_] ] } 12 .. 15), 4, 'the last ones stay');

# another client

my $other = socks_udp(port(8080), from => '127.0.0.2');

is(answered([ $other, $to[0] ], [ $other, $to[1] ]), 2, 'another client');
is(answered([ $udp[0], $to[2] ], [ $udp[0], $to[3] ], [ $udp[1], $to[4] ]), 3,
    'the first one goes on');

my $port = mapped($other, $to[0]);

is(answered(map { [ $udp[2], $to[$_] ] } 5 .. 11), 7, 'and on');
is(mapped($other, $to[0]), $port, 'at no cost of the other one');

is(connected(port(8080), 4), '0 0 0 0', 'TCP, again');

$_->close() for @udp, $other;

# users of one address are clients of their own

my $alice = socks_udp(port(8082), user => 'alice', password => 'a');
my $bob = socks_udp(port(8082), user => 'bob', password => 'b');

is(answered([ $bob, $to[0] ]), 1, 'bob');
$port = mapped($bob, $to[0]);
is(answered(map { [ $alice, $to[$_] ] } 0 .. 9), 10, 'alice');
is(mapped($bob, $to[0]), $port, 'bob has his tunnel');

# the reverse has fewer of them than the entry

@udp = map { socks_udp(port(8081)) } 1 .. 4;
$udp[$_ % 4]->send_to($to[$_], 'hello') for 0 .. 15;

ok(wait_log($reverse, qr/\d+ streams of UDP are half of what there may be/),
    'half of the tunnels');
is(connected(port(8081), 4), '0 0 0 0', 'the other half is for TCP');


# each with an answer of its own

sub answered {
    my $n = 0;

    for (@_) {
        my ($u, $to) = @$_;
        my $m = $u->ask($to, "hello $to") or next;

        $m = $u->receive() while $m && $m->{from} ne $to;
        $n++ if $m && $m->{data} =~ /^hello \Q$to\E /;
    }

    return $n;
}


# which port of the reverse the peer sees

sub mapped {
    my ($u, $to) = @_;
    my $m = $u->ask($to, 'which') or return 'none';

    return $m->{data} =~ s/^which //r;
}


# so many connections at once

sub connected {
    my ($port, $n) = @_;
    my @c = map { socks($port, '127.0.0.1:' . port(8090), timeout => 10,
        $port == port(8082) ? (user => 'bob', password => 'b') : ()) } 1 .. $n;
    my @replies = map { defined $_->rep() ? $_->rep() : $_->end() } @c;

    $_->close() for @c;
    return "@replies";
}


sub echo {
    my ($s) = @_;

    $s->blocking(1);

    while (1) {
        my ($data, $from) = peer_read($s, 3600) or next;
        peer_send($s, $from, "$data $from");
    }
}
