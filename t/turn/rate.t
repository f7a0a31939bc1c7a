#!/usr/bin/perl

# Tests for the bytes per second that an allocation may relay, each way.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

use constant { SIZE => 1000, COUNT => 200 };

my $t = Test::Nginx->new()->has(qw/ stream stream_return /);

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
    trp_turn_allow 127.0.0.0/8;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_rate 10k;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        return $trp_turn_dropped;
    }
}

EOC

$t->run()->plan(15);

my $peer = turn_peer();
my $addr = peer_addr($peer);

# without a limit all of it arrives

my $c = client(8479);
is(up($c), COUNT, 'no limit');
is(down($c), COUNT, 'no limit, back');
is(dropped(), 0, 'nothing dropped');

# with one, part of it: at least what a second allows, and less than all

$c = client(8478);
my $n = up($c);
ok($n > 0, 'some of it');
cmp_ok($n, '<', COUNT, 'not all of it');
is(dropped(), COUNT - $n, 'the rest is counted');

# the other direction has its own

my $before = dropped();
$n = down($c);
ok($n > 0, 'back: some of it');
cmp_ok($n, '<', COUNT, 'back: not all of it');
is(dropped(), $before + COUNT - $n, 'back: the rest is counted');

# requests are answered all the time

is($c->refresh()->{code}, 0, 'requests');

# it is for a second

ok(wait_for(sub {
    $c->send_channel(0x4000, 'later');
    return peer_read($peer, 0.02);
}), 'more, later');

ok(wait_for(sub {
    peer_send($peer, $c->relayed(), 'later');
    return $c->expect('channel', 0.02);
}), 'back: more, later');

# each allocation has its own; Send and Data count too

my $d = client(8478);
$n = relayed(sub { $d->send_to($addr, 'x' x SIZE) }, $d,
    sub { defined peer_read($peer, 0) });
ok($n > 0, 'another allocation');
cmp_ok($n, '<', COUNT, 'its own limit');

# larger than what a second allows

my $e = client(8478);
$e->send_channel(0x4000, 'x' x 30000);
$e->binding();
is($e->refresh()->{code}, 0, 'a datagram over the limit');


# how many of the datagrams arrive; each one arrives or is counted as dropped

sub up {
    my ($c) = @_;
    return relayed(sub { $c->send_channel(0x4000, 'x' x SIZE) }, $c,
        sub { defined peer_read($peer, 0) });
}


sub down {
    my ($c) = @_;
    return relayed(sub { peer_send($peer, $c->relayed(), 'x' x SIZE) }, $c,
        sub { $c->expect('channel', 0) });
}


sub relayed {
    my ($send, $c, $receive) = @_;
    my $before = dropped();
    my $n = 0;

    for (1 .. COUNT / 20) {
        $send->() for 1 .. 20;

        # not too much at once, for any of the sockets
        $c->binding();
        $n++ while $receive->();
    }

    wait_for(sub {
        $n++ while $receive->();
        return $n + dropped() - $before >= COUNT;
    });

    return $n;
}


sub dropped {
    return turn(transport => 'tcp', port => port(8480))->read_bytes();
}


sub client {
    my ($port) = @_;
    my $c = turn(port => port($port), user => 'alice', password => 'secret');

    $c->allocate();
    $c->bind_channel(0x4000, $addr);

    return $c;
}
