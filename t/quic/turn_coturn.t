#!/usr/bin/perl

# Tests for QUIC through coturn: streams of TCP and of UDP; and coturn is killed
# and started anew while a user is in the middle of something.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::Stream qw/ dgram /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICTurn;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

port(8443, both => 1);

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /)
    ->has_daemon('turnserver');
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

quic_relay_conf($relay);
trp_cert($relay, $entry, $reverse);
quic_turn_agents($entry, $reverse, '127.0.0.1:%%PORT_8357%%');

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'key'),
    trp_keys($reverse, 'key'));

coturn($relay, 8357, 8358) or plan(skip_all => 'no coturn');

serve($reverse, port(8090), 'echo');

$reverse->run_daemon(\&echo_datagrams, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8990, udp => 1))
    || die("no socket: $!\n"));

$_->run() for $relay, $reverse, $entry;
$relay->plan(9 + 2 * 2);

ok(visit(port(8080), bytes => 1_000_000), 'a megabyte there and back');
is(join(' ', map { visit(port(8080)) } 1 .. 10), join(' ', (1) x 10), 'ten');

my $u = dgram('127.0.0.1:' . port(8980, udp => 1));
is($u->io('hello'), 'hello', 'a datagram');
my $data = noise(1400);
is($u->io($data, read_timeout => 5) eq $data, 1, 'a long one');

is(across(connect_to(port(8080)), 20_000_000, sub {
    chomp(my $pid = $relay->read_file('coturn.pid'));
    kill 'KILL', $pid;
    coturn($relay, 8357, 8358);
}), 20_000_000, 'coturn is killed, and starts anew');

is($u->io('again', read_timeout => 10), 'again', 'datagrams go on');
ok(visit(port(8080), bytes => 100_000), 'new users');
is(count_log($_, qr/lost the last tunnel/), 0, 'no tunnel was lost')
    for $entry, $reverse;
