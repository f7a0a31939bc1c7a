#!/usr/bin/perl

# Tests for clients over TCP and TLS: how messages lie in the stream.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        listen 127.0.0.1:%%PORT_8479%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
    }
}

EOC

trp_cert($t);
$t->run()->plan(2 * 33);

my $peer = turn_peer();
my $addr = peer_addr($peer);

all_of($_) for qw/ tcp tls /;


sub all_of {
    my ($transport) = @_;

    # one message in many segments

    my $c = client($transport);
    my $request = stun_message('binding', [ software => 'abcde' ],
        id => 'abcdefghijkl');

    $c->write_slowly($request);
    is($c->read()->{id}, 'abcdefghijkl', "$transport: byte by byte");

    # many messages in one

    $c->write(join '', map { stun_message('binding', [ software => 'x' x $_ ],
        id => sprintf '%012d', $_) } 0 .. 49);
    is(join(' ', map { 0 + $c->read()->{id} } 0 .. 49), join(' ', 0 .. 49),
        "$transport: fifty at once, in order");

    # what is between them

    my $two = stun_message('binding', [], id => '000000000001')
        . stun_message('binding', [], id => '000000000002');

    for my $at (1, 3, 4, 19, 20, 21, 39) {
        my $c = client($transport);
        $c->write(substr $two, 0, $at);

        # the server has read it when another client has its answer
        client($transport)->binding();

        $c->write(substr $two, $at);
        is(join(' ', map { 0 + $c->read()->{id} } 1, 2), '1 2',
            "$transport: cut at $at");
    }

    # an allocation; ChannelData is padded, both ways

    $c = client($transport);
    is($c->allocate()->{code}, 0, "$transport: allocated");
    is($c->bind_channel(0x4000, $addr)->{code}, 0, "$transport: channel");

    my @texts = map { 'x' x $_ } 0 .. 9;

    $c->write(join '', map { channel_data(0x4000, $_, pad => 1) } @texts);
    is(join(' ', map { length peer_read($peer) } @texts), "@{[ 0 .. 9 ]}",
        "$transport: channel data, padded");

    peer_send($peer, $c->relayed(), $_) for @texts;
    my @messages = map { $c->read() } @texts;

    is(join(' ', map { length $_->{data} } @messages), "@{[ 0 .. 9 ]}",
        "$transport: channel data back");
    is(join(' ', map { $_->{size} % 4 } @messages), join(' ', (0) x 10),
        "$transport: its padding");
    is(join('', map { substr $_->{raw}, 4 + length $_->{data} } @messages)
        =~ tr/\0//c, 0, "$transport: of zeros");

    # a mix, cut anywhere

    my $mix = join '', channel_data(0x4000, 'one', pad => 1),
        stun_message('binding', [], id => 'abcdefghijkl'),
        stun_message('send', [ 'xor-peer-address' => $addr, data => 'two' ],
            class => 'indication'),
        channel_data(0x4000, 'three', pad => 1);

    my $right = 0;

    for my $at (1 .. length($mix) - 1) {
        $c->write(substr $mix, 0, $at);
        $c->write(substr $mix, $at);

        $right++ if $c->read()->{id} eq 'abcdefghijkl'
            && join(' ', map { scalar peer_read($peer) } 1 .. 3)
                eq 'one two three';
    }

    is($right, length($mix) - 1, "$transport: a mix, cut anywhere");

    $c->write_slowly($mix);
    is(join(' ', map { scalar peer_read($peer) } 1 .. 3), 'one two three',
        "$transport: a mix, byte by byte");
    is($c->read()->{id}, 'abcdefghijkl', "$transport: and its answer");

    # much at once, both ways

    my $big = 'y' x 1000;
    $c->write(channel_data(0x4000, $big, pad => 1) x 50);
    my $got = 0;
    $got += length peer_read($peer) for 1 .. 50;
    is($got, 50_000, "$transport: fifty in a row");

    $got = 0;

    for (1 .. 20) {
        peer_send($peer, $c->relayed(), $big) for 1 .. 5;
        $got += length $c->read()->{data} for 1 .. 5;
    }

    is($got, 100_000, "$transport: and back");

    # the largest that there are

    my $huge = 'z' x 65000;
    $c->write(channel_data(0x4000, $huge, pad => 1));
    is(length peer_read($peer), 65000, "$transport: large");
    peer_send($peer, $c->relayed(), $huge);
    is(length $c->read()->{data}, 65000, "$transport: large, back");

    is($c->binding(attrs => [ '0xc000' => 'x' x 60000 ])->{code}, 0,
        "$transport: a large message");

    # too large for a datagram: dropped, the stream goes on

    $c->write(channel_data(0x4000, 'x' x 65535, pad => 1));
    is($c->binding()->{code}, 0, "$transport: too large for the peer");
    ok(!defined peer_read($peer, 0), "$transport: and not sent");

    # messages that are wrong, in a stream that is right

    $c->write(channel_data(0x4123, 'unbound', pad => 1));
    is($c->binding()->{code}, 0, "$transport: unbound channel");

    # what is no stream of messages ends

    my %garbage = (
        'text' => "\r\nHELO localhost\r\n\r\n",
        'upper bits' => "\x80" . "\0" x 19,
        'reserved channel' => pack('n n a4', 0x8000, 4, 'abcd'),
        'odd length' => stun_message('binding', [], length => 2) . 'ab',
        'no cookie' => stun_message('binding', [], cookie => 1),
        'one byte' => "\xff",
    );

    for my $name (sort keys %garbage) {
        my $c = client($transport);
        $c->binding();
        $c->write($garbage{$name});
        like($c->end_of(), qr/^(?:eof|reset)$/, "$transport: $name");
    }

    # an allocation that ends with half a message

    my $d = client($transport);
    $d->allocate();
    $d->write(substr $request, 0, 10);
    $d->close();

    is($c->refresh()->{code}, 0, "$transport: another one goes on");
}


sub client {
    my ($transport) = @_;

    return turn(port => port($transport eq 'tls' ? 8479 : 8478),
        transport => $transport, user => 'alice', password => 'secret');
}
