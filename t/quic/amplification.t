#!/usr/bin/perl

# Tests for clients whose address is not proven: the relay sends them at most
# three times of what it has got, and gives up after some time.

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

quic_relay_conf($t, relay => 'trp_relay_auth_timeout 3s;');

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run()->plan(8);

# a client that says nothing more

for my $size (1200, 1252, 1452) {
    my $scid = "silent$size";
    my $hello = initial_packet("destination$size", $scid,
        crypto_frame(client_hello(scid => $scid)), size => $size);

    my $sent = 0;
    my $s = quic_socket();

    $sent += length for exchange($s, $hello, 4);

    cmp_ok($sent, '>', 0, "an answer to $size bytes");
    cmp_ok($sent, '<=', 3 * length $hello, "at most three times: $sent");
}

# one whose datagrams are answers to nothing: no bytes of credit for them, as
# they are not of a connection

my $s = quic_socket();
my $sent = 0;
$sent += length for exchange($s, 'x' x 1400, 0.2), exchange($s, "\x40" x 20);
cmp_ok($sent, '<=', 1420, 'garbage');

is(exchange($s, initial_packet('tooshort', 'x', crypto_frame(client_hello(
    scid => 'x')), size => 900)), 0, 'an Initial in a short datagram');
