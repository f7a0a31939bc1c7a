#!/usr/bin/perl

# Tests for agents whose tunnels are QUIC through a TURN server of trp's, by UDP:
# streams of TCP and of UDP, ends, resets, and the allocations that this takes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::Stream qw/ dgram /;
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

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve($reverse, port(8091), 'half', data => 'SEE THIS', record => 'half.log');
serve($reverse, port(8092), 'reset', after => 3);

$reverse->run_daemon(\&echo_datagrams, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8990, udp => 1))
    || die("no socket: $!\n"));

$_->run() for $relay, $turn, $reverse, $entry;
$relay->plan(15 + 2 * 3);

# TCP

ok(visit(port(8080), bytes => 1_000_000), 'a megabyte there and back');
is(join(' ', map { visit(port(8080)) } 1 .. 10), join(' ', (1) x 10), 'ten');

my @many = map { connect_to(port(8080)) } 1 .. 10;
my @results = map { transfer($_, 100_000) } @many;
is(grep({ $_->{received_sha} eq $_->{sent_sha} && $_->{end} eq 'eof' }
    @results), 10, 'ten at a time');

my $s = connect_to(port(8080));
is(across($s, 10_000_000), 10_000_000, 'ten megabytes');
close $s;

$s = connect_to(port(8081));
is(join(' ', (drain($s))[0, 2]), '8 eof', 'half-close');
syswrite $s, 'SEE';
shutdown $s, 1;
ok(wait_log($reverse, qr/^3 .* eof$/, file => 'half.log'), 'and the other way');

$s = connect_to(port(8082));
syswrite $s, 'SEE';
is(end_of($s), 'reset', 'reset of the service');

$s = connect_to(port(8080));
transfer($s, 5, fin => 0);
abort($s);
ok(wait_log($reverse, qr/^5 .* reset$/, file => 'echo.log'),
    'reset of the user');

# UDP

my $u = dgram('127.0.0.1:' . port(8980, udp => 1));
is($u->io('hello'), 'hello', 'a datagram');

for my $size (1, 1100, 1400, 9000) {
    my $data = noise($size);
    is($u->io($data, read_timeout => 5) eq $data, 1, "$size bytes");
}

# the tunnels of an agent share an allocation with one peer, the relay

$_->stop() for $entry, $reverse, $turn;

my @log = split /\n/, $turn->read_file('turn.log');
my $peer = '127\.0\.0\.1:' . port(8443, udp => 1);

is(grep({ /^UDP alice $peer [1-9]\d* [1-9]/ } @log), 2, 'two allocations');
is(join("\n", grep { !/^UDP (?:alice|-) (?:$peer|-) / } @log), '', 'no others');
