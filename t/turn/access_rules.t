#!/usr/bin/perl

# Tests for rules about peers: the longest prefix wins, then the fewest ports,
# then "trp_turn_deny"; and rules with ports.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_tcp_allocations on;
    trp_turn_unauthenticated_rate off;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_deny all;
        trp_turn_allow 9.9.9.9 10.0.0.0/8;
        trp_turn_deny 10.1.0.0/16 10.9.9.9;
        trp_turn_allow 10.1.1.0/24 10.9.9.9;
    }

    # a media server on this host, and nothing else that is here

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_allow 127.0.0.1:%%PORT_8481_UDP%%-%%PORT_8481_UDP%%;
        trp_turn_allow 127.0.0.1:%%PORT_8483%% 127.0.0.2;
        trp_turn_deny 127.0.0.2:1-1023 127.0.0.2:%%PORT_8482_UDP%%;
    }
}

EOC

$t->run()->plan(24);

my $c = client(8478);

is(permit('9.9.9.9'), 0, 'allowed behind "deny all"');
is(permit('9.9.9.8'), 403, 'its neighbour');
is(permit('8.8.8.8'), 403, 'anybody else');
is(permit('10.2.0.1'), 0, 'a block');
is(permit('10.1.2.1'), 403, 'a block inside');
is(permit('10.1.1.1'), 0, 'inside of that');
is(permit('10.9.9.9'), 403, 'in both: denied');

# by port: sockets of this host, all of which are peers with another port, too

$c = client(8480);

my $media = turn_peer('127.0.0.1', port(8481, udp => 1));
my $ssh = turn_peer('127.0.0.1');
my $open = turn_peer('127.0.0.2');
my $shut = turn_peer('127.0.0.2', port(8482, udp => 1));

is($c->bind_channel(0x4000, peer_addr($media))->{code}, 0, 'channel');
is($c->bind_channel(0x4001, peer_addr($ssh))->{code}, 403, 'another port');
is($c->bind_channel(0x4002, peer_addr($open))->{code}, 0,
    'all ports but some');
is($c->bind_channel(0x4003, peer_addr($shut))->{code}, 403, 'one of them');
is($c->bind_channel(0x4003, '127.0.0.2:22')->{code}, 403, 'another one');
is(permit('127.0.0.3'), 403, 'an address without a rule');

for my $number (0x4000, 0x4002) {
    $c->send_channel($number, "channel $number");
}

is(scalar peer_read($media), 'channel 16384', 'data to a port');
is(scalar peer_read($open), 'channel 16386', 'and to all ports but some');

# nothing comes from the other ports, although there is a permission

peer_send($_, $c->relayed(), 'no') for $ssh, $shut;
peer_send($_, $c->relayed(), 'yes') for $media, $open;

my @got = map { my $m = $c->read(); "$m->{channel} $m->{data}" } 1 .. 2;
is("@got", '16384 yes 16386 yes', 'data from there');
ok($c->quiet(), 'and no more');

# a permission is for the ports that are allowed

$c = client(8480);

is(permit('127.0.0.1'), 0, 'permission');
$c->send_to(peer_addr($ssh), 'no');
$c->send_to(peer_addr($media), 'yes');
is(scalar peer_read($media), 'yes', 'Send');
peer_send($ssh, $c->relayed(), 'no');
peer_send($media, $c->relayed(), 'yes');
is($c->expect('data')->{attr}->{data}, 'yes', 'Data');
ok($c->quiet(), 'no more Data');
is(peer_read($ssh, 0), undef, 'nor at the other port');

# TCP

my $listener = listener(port(8483));
my $other = listener(0);

$c = turn(port => port(8479), transport => 'tcp', user => 'alice',
    password => 'secret');
$c->allocate([], protocol => 'tcp');

is($c->call('connect', [ 'xor-peer-address' => peer_addr($listener) ])
    ->{code}, 0, 'connect');
is($c->call('connect', [ 'xor-peer-address' => peer_addr($other) ])->{code},
    403, 'connect to another port');


sub permit {
    return $c->permit($_[0])->{code};
}


sub client {
    my ($port) = @_;
    my $client = turn(port => port($port, udp => 1), user => 'alice',
        password => 'secret');

    $client->allocate();
    return $client;
}
