#!/usr/bin/perl

# Tests for what other TURN servers have been caught with.

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
}

EOC

$t->run()->plan(11);

my $friend = turn_peer('127.0.0.2');
my ($c, $d, $c6) = map { client($_) } qw/ ipv4 ipv4 ipv6 /;

$c->permit('127.0.0.2');
$c->bind_channel(0x4001, '127.0.0.2:9');

# addresses that mean this machine
is($c->permit('0.0.0.0')->{code}, 403, 'CVE-2020-26262: 0.0.0.0');
is($c6->permit('[::]:80')->{code}, 403, 'CVE-2020-26262: ::');
is($c6->permit('[::ffff:127.0.0.1]:80')->{code}, 403,
    'CVE-2026-27624: ::ffff:127.0.0.1');
is($c6->permit("[$_]:80")->{code}, 403, "CVE-2026-53450: $_")
    for qw/ ::127.0.0.1 2002:7f00:1::1 64:ff9b::7f00:1 64:ff9b:1::7f00:1 /;

# attributes at any place: lengths that are not multiples of four

my $odd = 0;

for my $length (0 .. 16) {
    $odd++ if $d->call('channelbind', [ software => 'x' x $length,
        'channel-number' => 0x4100 + $length, '0xc001' => 'y' x $length,
        'xor-peer-address' => "127.0.0.2:" . (1000 + $length) ])->{code} ne '0';
}

is($odd, 0, 'CVE-2026-40613: attributes at odd places');

# padding is zero, whatever was in the memory before

peer_send($friend, $c->relayed(), "\xff" x 1000);
$c->read();

my $dirty = 0;

for my $length (1, 2, 3, 5, 6, 7) {
    peer_send($friend, $c->relayed(), 'x' x $length);
    my $m = $c->read();
    my $padding = substr $m->{raw}, $m->{at}->{data} + 4 + $length,
        -$length % 4;
    $dirty++ if $padding =~ /[^\0]/;
}

is($dirty, 0, 'CVE-2020-4067: padding of data');

my $stranger = turn(port => port(8478));
$stranger->write("\x40\x00" . "\xff" x 1000);
my $m = $stranger->allocate([ '0xc001' => "\xff" x 700 ]);
$dirty = 0;

for my $name (qw/ realm nonce /) {
    my $length = length $m->{attr}->{$name};
    $dirty++ if substr($m->{raw}, $m->{at}->{$name} + 4 + $length,
        -$length % 4) =~ /[^\0]/;
}

is($dirty, 0, 'CVE-2020-4067: padding of an answer');

# lengths in full

for my $length (0xfffc, 0xffff, 0x8000) {
    $c->write(pack 'n n N a12 n n a8', 0x0001, 12, 0x2112a442, 'x' x 12,
        0x8022, $length, 'x' x 8);
    $c->write(pack 'n n N a12', 0x0001, $length & 0xfffc, 0x2112a442, 'x' x 12);
    $c->write(pack 'n n a4', 0x4001, $length, 'x' x 4);
}

ok($c->quiet(), 'CVE-2026-68552: lengths');


sub client {
    my ($family) = @_;
    my $c = turn(port => port(8478), user => 'alice', password => 'secret');

    $c->allocate([ 'requested-address-family' => $family ]);

    return $c;
}
