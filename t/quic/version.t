#!/usr/bin/perl

# Tests for packets of other versions of QUIC: they are answered with those that
# the relay has, unless they are too short, and never if they are an answer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

quic_relay_conf($t);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run()->plan(9);

my $s = quic_socket();
my ($dcid, $scid) = ('destination!', 'source');

my ($answer) = exchange($s, initial_packet($dcid, $scid, "\1",
    version => 0x1a2a3a4a));
my %h = $answer ? quic_header($answer) : (type => 'none', versions => []);

is($h{type}, 'negotiation', 'version negotiation');
is_deeply([ @h{qw/ dcid scid /} ], [ $scid, $dcid ], 'ids are exchanged');
ok((grep { $_ == 1 } @{$h{versions}}), 'version 1 is there');
cmp_ok(length($answer || ''), '<', 1200, 'it is short');

# long ids, which only other versions may have

my $long = pack('C N C/a* C/a*', 0xc0, 0xff00aa00, 'd' x 255, 's' x 255);
$long .= "\0" x (1200 - length $long);

my ($to_long) = exchange($s, $long);
ok(!$to_long || $to_long eq pack('C N C/a* C/a*', ord $to_long, 0, 's' x 255,
    'd' x 255) . substr($to_long, 5 + 512), 'ids of 255 bytes');

is(exchange($s, initial_packet($dcid, $scid, "\1", version => 0x1a2a3a4a,
    size => 600)), 0, 'no answer to a short one');

# an answer to an answer would go on for ever

is(exchange($s, pack('C N C/a* C/a* N', 0xc0, 0, 'd' x 8, 's' x 8, 1)
    . "\0" x 1180), 0, 'none to version negotiation');
is(exchange($s, pack('C N C/a* C/a*', 0xf0, 1, 'd' x 8, 's' x 8)
    . "\0" x 1180), 0, 'none to Retry');

my @hello = exchange($s, initial_packet($dcid, $scid,
    crypto_frame(client_hello(scid => $scid))));
ok(@hello && initial_open($hello[0], $dcid), 'version 1 works');
