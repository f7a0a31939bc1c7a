#!/usr/bin/perl

# Tests for agents with two workers whose tunnels are QUIC through a TURN server:
# while users are in the middle of something, the agents and the relay are
# reloaded.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICTurn;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

port(8443, both => 1);

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $turn = Test::Nginx->new();
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

quic_relay_conf($relay, main => 'worker_processes 2;');
quic_turn_server($turn, main => 'worker_processes 2;');
quic_turn_agents($entry, $reverse, '127.0.0.1:%%PORT_8478_UDP%%',
    main => 'worker_processes 2;');

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'key'),
    trp_keys($reverse, 'key'));

serve($reverse, port(8090), 'echo');

$_->run() for $relay, $turn, $reverse, $entry;
$relay->plan(9 + 2 * 3);

ok(visit(port(8080), bytes => 100_000), 'at first');

my @idle = map { connect_to(port(8080)) } 1 .. 4;
is(across($_, 1000), 1000, 'one who stays') for $idle[0];

for my $case ([ 'entry', $entry ], [ 'reverse', $reverse ],
    [ 'TURN server', $turn ], [ 'relay', $relay ])
{
    my ($name, $t) = @$case;

    is(across(connect_to(port(8080)), 10_000_000, sub { $t->reload() }),
        10_000_000, "reload of the $name");
}

is(join(' ', map { visit(port(8080)) } 1 .. 10), join(' ', (1) x 10),
    'new users');
is(across($_, 1000), 1000, 'the one who has stayed') for $idle[0];
is(count_log($_, qr/tunnel was lost/), 0, 'no tunnel was lost') for $entry;

close $_ for @idle;
