#!/usr/bin/perl

# Tests for data of peers that are denied, in both directions, and for the
# relay's own address as a peer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

plan(skip_all => 'no IPv6')
    if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

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
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
        trp_turn_allow 127.0.0.2;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;
        listen [::1]:%%PORT_8479_UDP%% udp;
        trp_turn;
    }
}

EOC

$t->run()->plan(24);

# what is denied cannot be sent; when the last one is there, what was before it
# has been dropped

my ($local, $friend) = (turn_peer('127.0.0.1'), turn_peer('127.0.0.2'));
my ($port) = peer_addr($local) =~ /:(\d+)$/;
my $c = client('ipv4');

for my $host (qw/ 127.0.0.1 0.0.0.0 127.1.1.1 /) {
    $c->permit("$host:$port");
    $c->bind_channel(0x4000, "$host:$port");
    $c->send_channel(0x4000, 'no');
    $c->send_to("$host:$port", 'no');
}

my $c6 = client('ipv6');
my $local6 = turn_peer('::1', $port);

for my $host (qw/ ::1 :: ::ffff:127.0.0.1 ::127.0.0.1 ::ffff:0:127.0.0.1 /) {
    $c6->permit("[$host]:$port");
    $c6->bind_channel(0x4000, "[$host]:$port");
    $c6->send_channel(0x4000, 'no');
    $c6->send_to("[$host]:$port", 'no');
}

ok($c->quiet() && $c6->quiet(), 'denied peers are not answered for');
$c->permit('127.0.0.2');
$c->send_to(peer_addr($friend), 'yes');
is(scalar peer_read($friend), 'yes', 'an allowed one gets data');
ok(!defined peer_read($local, 0), 'a denied one does not');
ok(!defined peer_read($local6, 0), 'nor over IPv6');

# peers can't come in where they are denied

peer_send($local, $c->relayed(), 'no');
peer_send($friend, $c->relayed(), 'yes');
is(heard($c), 'yes', 'a denied peer is not heard');

# the relay's own address: where an allocation is, and nowhere else

my $d = client('ipv4');
is($d->permit($c->relayed())->{code}, 0, 'from allocation to allocation');
$c->permit($d->relayed());
$c->send_to("127.0.0.1:$port", 'no');
$c->send_to($d->relayed(), 'yes');
is($d->read()->{attr}->{data}, 'yes', 'gets data');
ok(!defined peer_read($local, 0), 'and nobody else at that address');
is($c->bind_channel(0x4001, "127.0.0.1:$port")->{code}, 403,
    'no channel to another port');
is($c->bind_channel(0x4001, $d->relayed())->{code}, 0, 'but to that one');

# the same without a configured address: it is the one that the client asked

for my $case ([ 'ipv4', '127.0.0.1', $local ], [ 'ipv6', '::1', $local6 ]) {
    my ($family, $host, $peer) = @$case;
    my ($one, $two) = map { client($family, 8479, $host) } 1, 2;

    is($one->permit($two->relayed())->{code}, 0, "$family: permission");
    is($two->permit($one->relayed())->{code}, 0, "$family: permission, back");
    is($one->bind_channel(0x4000, $two->relayed())->{code}, 0,
        "$family: channel");
    is($one->bind_channel(0x4001, peer_addr($peer))->{code}, 403,
        "$family: no channel to another port");

    $one->send_to(peer_addr($peer), 'no');
    $one->send_channel(0x4000, 'yes');
    is($two->read()->{attr}->{data}, 'yes', "$family: data");
    ok(!defined peer_read($peer, 0), "$family: nobody else");

    peer_send($peer, $one->relayed(), 'no');
    $two->send_to($one->relayed(), 'yes');
    is($one->read()->{data}, 'yes', "$family: only from there");
}


# all data up to "yes"

sub heard {
    my ($c) = @_;
    my @heard;

    while (my $m = $c->read()) {
        push @heard, $m->{attr}->{data};
        last if $heard[-1] eq 'yes';
    }

    return "@heard";
}


sub client {
    my ($family, $port, $host) = @_;

    my $c = turn(port => port($port || 8478), host => $host || '127.0.0.1',
        user => 'alice', password => 'secret');
    $c->allocate([ 'requested-address-family' => $family ]);

    return $c;
}
