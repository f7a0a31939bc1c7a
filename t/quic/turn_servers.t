#!/usr/bin/perl

# Tests for a name of TURN servers with two addresses: while a user is in the
# middle of something, one of them falls silent or goes, and the other one takes
# over.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::DNS;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICTurn;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

port(8443, both => 1);

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my @turn = map { Test::Nginx->new() } 1 .. 2;
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my ($turn, $dns) = map { port($_, udp => 1) } 8478, 8982;

quic_relay_conf($relay);
quic_turn_server($turn[0], address => '127.0.0.2');
quic_turn_server($turn[1], address => '127.0.0.3');
quic_turn_agents($entry, $reverse, "turn.test:$turn",
    stream => "resolver 127.0.0.1:$dns;");

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'key'),
    trp_keys($reverse, 'key'));

serve($reverse, port(8090), 'echo');
dns($relay, $dns, 'turn.test' => '127.0.0.2 127.0.0.3');

$_->run() for $relay, @turn, $reverse, $entry;
$relay->plan(6 + 2 * 4);

ok(visit(port(8080), bytes => 100_000), 'two servers');

# silence: nothing says that the server is gone

my @stopped = worker_pids($turn[0]);

is(across(connect_to(port(8080)), 3_000_000,
    sub { kill 'STOP', @stopped }), 3_000_000, 'one falls silent');

kill 'CONT', @stopped;
ok(visit(port(8080), bytes => 100_000), 'afterwards');

is(across(connect_to(port(8080)), 3_000_000, sub { $turn[1]->stop() }),
    3_000_000, 'the other one goes');

is(count_log($_, qr/lost the last tunnel/), 0, 'no tunnel was lost')
    for $entry, $reverse;
