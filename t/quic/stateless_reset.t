#!/usr/bin/perl

# Tests for packets of connections that the relay does not know: a stateless
# reset that is shorter, so that two such peers do not go on for ever.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICPeer;

my $missing = quic_missing() || quic_peer_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

quic_relay_conf($t);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run()->plan(8);

my $s = quic_socket();

# an id of the form that the relay's have

my ($answer) = exchange($s, "\x40" . "\0\0" . 'r' x 10 . 'x' x 100);

ok($answer, 'an answer');
cmp_ok(length($answer || 'x' x 200), '<', 113, 'shorter than the packet');
is(ord($answer || '') & 0xc0, 0x40, 'looks like any short packet');
cmp_ok(length($answer || ''), '>=', 21, 'long enough');

my ($again) = exchange($s, "\x40" . "\0\0" . 'r' x 10 . 'y' x 200);
my ($other) = exchange($s, "\x40" . "\0\0" . 's' x 10 . 'y' x 200);

is(substr($again || '', -16), substr($answer || '', -16),
    'the same token for an id');
isnt(substr($other || '', -16), substr($answer || '', -16),
    'and another one for another id');

is(exchange($s, "\x40" . "\0\0" . 'r' x 10 . 'x' x 8), 0,
    'none to a packet of 21 bytes');

# many of them cost the relay more than the sender: only some are answered

my $got = () = map { exchange($s, "\x40" . "\0\0" . random(10) . 'x' x 50, 0) }
    1 .. 2000;
$got += () = exchange($s);
cmp_ok($got, '<=', 2000, "$got answers to 2000");


sub random {
    my ($len) = @_;
    return join '', map { chr rand 256 } 1 .. $len;
}
