#!/usr/bin/perl

# Tests for a TURN server that loses its allocations: it is killed, stopped and
# started, reloaded.  QUIC goes on through another allocation, and users who are
# in the middle of something do not notice.

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

quic_relay_conf($relay);
quic_turn_server($turn);
quic_turn_agents($entry, $reverse, '127.0.0.1:%%PORT_8478_UDP%%');

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'key'),
    trp_keys($reverse, 'key'));

serve($reverse, port(8090), 'echo');

$turn->todo_alerts();
$_->run() for $relay, $turn, $reverse, $entry;
$relay->plan(12 + 2 * 3);

ok(visit(port(8080), bytes => 100_000), 'at first');

my $idle = connect_to(port(8080));
is(across($idle, 1000), 1000, 'one who stays');

# a worker that is killed: the next one has its socket, and knows nothing

is(across(connect_to(port(8080)), 20_000_000,
    sub { kill 'KILL', worker_pids($turn) }), 20_000_000, 'a worker dies');
ok(wait_log($_, qr/replaces the lost one/), 'another allocation')
    for $entry, $reverse;

# no server for a while

is(across(connect_to(port(8080)), 20_000_000, sub {
    $turn->stop();
    $turn->run();
}), 20_000_000, 'another server');
ok(wait_log($_, qr/replaces the lost one/, count => 2), 'and again')
    for $entry, $reverse;

# a reload does not take the allocation

is(across(connect_to(port(8080)), 20_000_000, sub { $turn->reload() }),
    20_000_000, 'a reload');

is(across($idle, 100_000), 100_000, 'the one who has stayed');
is(count_log($_, qr/lost the last tunnel/), 0, 'no tunnel was lost')
    for $entry, $reverse;
