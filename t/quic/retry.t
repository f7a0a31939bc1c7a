#!/usr/bin/perl

# Tests for Retry: many connections without AUTH make it necessary; its tokens
# are good for one address, and only as they are.

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

quic_relay_conf($t, relay => 'trp_relay_max_unauthenticated 40;');

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run()->plan(10);

# connections that get no further

my ($dcid, $retry) = ('first', undef);
my @sockets;

for my $i (1 .. 60) {
    my $s = quic_socket();
    push @sockets, $s;
    $dcid = sprintf 'destination%03d', $i;

    my ($answer) = exchange($s, hello($dcid), 0.2);
    next if !$answer || { quic_header($answer) }->{type} ne 'retry';

    $retry = $answer;
    last;
}

ok($retry, 'Retry after ' . @sockets . ' connections');

my %h = $retry ? quic_header($retry) : (token => '', scid => '', dcid => '');

is($h{dcid}, 'source', 'for the client');
cmp_ok(length $h{token}, '>', 16, 'a token');
isnt($h{scid}, $dcid, 'another id');
ok($retry && retry_good($retry, $dcid), 'authentic');

# the same address

my $s = $sockets[-1];

# others first: none of them is a connection

my $other = quic_socket(LocalAddr => '127.0.0.7');
refused($other, $h{token}, 'another address');

my $broken = $h{token};
substr($broken, -3, 1) ^= "\1" if length $broken > 3;
refused($s, $broken, 'a broken token');
refused($s, substr($h{token}, 0, 10), 'half a token');

# a port may change behind a NAT, and so does this relay as it likes

my @got = exchange($s, hello($h{scid}, token => $h{token}), 2);
my ($first) = map { quic_packets($_) } @got;

is($first && { quic_header($first) }->{type}, 'initial', 'the right one');
ok($first && initial_open($first, $h{scid}), 'and its keys are those of the id');


sub hello {
    my ($dcid, %o) = @_;
    return initial_packet($dcid, 'source', crypto_frame(client_hello(
        scid => 'source')), %o);
}


# no answer, another Retry, or the end of the connection; no ServerHello

sub refused {
    my ($s, $token, $name) = @_;

    for my $packet (map { quic_packets($_) }
        exchange($s, hello($h{scid}, token => $token)))
    {
        my %p = quic_header($packet);
        next if $p{type} eq 'retry';

        my $frames = $p{type} eq 'initial' && initial_open($packet, $h{scid});
        next if $frames && $frames =~ /^\0*(?:\x02.{4,6})?\x1c/s;

        return fail("$name: $p{type}");
    }

    pass($name);
}
