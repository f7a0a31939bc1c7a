#!/usr/bin/perl

# Tests for Refresh: lifetimes, deletion, and allocations that live on.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

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
    log_format turn "$remote_port $trp_turn_end";
    access_log %%TESTDIR%%/access.log turn;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;
        trp_turn;
        trp_turn_lifetime 1s;
        trp_turn_max_lifetime 100s;
    }
}

EOC

$t->run()->plan(30);

# without an allocation

is(client()->refresh()->{code}, 437, 'no allocation');
is(client()->refresh(0)->{code}, 437, 'nothing to delete');

# lifetimes

my $c = client();
$c->allocate();
my $relayed = $c->relayed();
my $r = $c->refresh();

is($r->{code}, 0, 'refreshed');
is($r->{signed}, 'sha1', 'integrity');
is($r->{attr}->{lifetime}, 600, 'the default');
is("@{$r->{order}}", 'lifetime message-integrity', 'nothing else');

my %lifetimes = (1 => 600, 599 => 600, 601 => 601, 3600 => 3600,
    3601 => 3600, 0xffffffff => 3600);

for my $lifetime (sort { $a <=> $b } keys %lifetimes) {
    is($c->refresh($lifetime)->{attr}->{lifetime}, $lifetimes{$lifetime},
        "lifetime $lifetime");
}

is($c->refresh(undef, [ lifetime => \'ab' ])->{code}, 400, 'short lifetime');
is($c->refresh(undef, [ lifetime => \'' ])->{code}, 400, 'empty lifetime');
is($c->refresh(600, [ '0x7fff' => '' ])->{code}, 420, 'unknown attribute');
is($c->refresh(600)->{code}, 0, 'after errors');

# another client can't

is(client()->refresh(0)->{code}, 437, 'from another port');

# deletion ends everything at once

my $peer = turn_peer();
my $addr = peer_addr($peer);

$c->bind_channel(0x4000, $addr);
$c->send_channel(0x4000, 'before');
is(scalar peer_read($peer), 'before', 'a peer');

$r = $c->refresh(0);
is($r->{code}, 0, 'deleted');
is($r->{attr}->{lifetime}, 0, 'lifetime 0');

$c->send_channel(0x4000, 'after');
$c->send_to($addr, 'after');

is($c->permit($addr)->{code}, 437, 'no permission after that');
is($c->bind_channel(0x4000, $addr)->{code}, 437, 'no channel');
is($c->refresh(600)->{code}, 437, 'no refresh');

my $own = (split /:/, $c->addr())[1];
ok(wait_log($t, qr/^$own ./, file => 'access.log'), 'logged');
is(count_log($t, qr/^$own ./, file => 'access.log'), 1, 'once');

# nothing has come to the peer, and its address is free again

ok(!defined peer_read($peer, 0), 'no data after that');
ok(wait_for(sub { eval { turn_peer('127.0.0.1', $relayed =~ /:(\d+)$/) } }),
    'the port is free');

# the lifetime of the last refresh counts

my @pair = map { turn(port => port(8479), user => 'alice',
    password => 'secret') } 1 .. 2;
$_->allocate([ lifetime => 50 ]) for @pair;

is($pair[0]->refresh(100)->{attr}->{lifetime}, 100, 'longer');
is($pair[1]->refresh()->{attr}->{lifetime}, 1, 'shorter');

$own = (split /:/, $pair[1]->addr())[1];
wait_log($t, qr/^$own ./, file => 'access.log');
is($pair[0]->refresh(100)->{code} . ' ' . $pair[1]->refresh()->{code},
    '0 437', 'one of them has ended');


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret');
}
