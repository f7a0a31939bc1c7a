#!/usr/bin/perl

# Tests for SOCKS5 in front of TURN servers that cannot connect the same two
# ports again for a while, and say so with 447, as if the peer had refused.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(7);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream turn {
        server 127.0.0.1:8200;

        trp_turn_client tcp;
        trp_turn_client_allocations 2;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_half_close on;
        proxy_pass turn;
    }
}

EOC

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalAddr => '0.0.0.0',
    LocalPort => port(8090), ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

# An allocation is good for one connection to a peer.

my $file = $t->testdir() . '/refuse';

fake_turn($t, port(8200), on => {
    connect => sub {
        my ($n, $m, $c) = @_;
        my $peer = $m->{attr}->{'xor-peer-address'};

        return 447 if -e $file;
        return $c->{had}->{$peer}++ ? 447 : undef;
    },
});

$t->run();

# one after the other

my @replies = map {
    my $c = socks(port(8080), '127.0.0.1:' . port(8090));
    my $reply = $c->echo('SEE') eq 'SEE' ? $c->rep() : 'broken';
    $c->close();
    $reply;
} 1 .. 20;

is(join(' ', @replies), join(' ', (0) x 20), 'one after the other');
cmp_ok(count_log($t, qr/connect 447/, file => 'turn.log'), '>=', 10,
    'on other allocations');

# two at a time, as many as there are allocations

@replies = map {
    my @c = map { socks(port(8080), '127.0.0.1:' . port(8090)) } 1, 2;
    my @reply = map { $_->echo('SEE') eq 'SEE' ? $_->rep() : 'broken' } @c;
    $_->close() for @c;
    @reply;
} 1 .. 5;

is(join(' ', @replies), join(' ', (0) x 10), 'two at a time');

# a peer that refuses

my $asked = count_log($t, qr/ connect /, file => 'turn.log');

is(socks(port(8080), '127.0.0.1:' . port(8091))->rep(), 5,
    'a peer that refuses');
is(count_log($t, qr/ connect /, file => 'turn.log'), $asked + 1,
    'is asked once');

$t->write_file('refuse', '');

is(socks(port(8080), '127.0.0.1:' . port(8090))->rep(), 5,
    'one that refuses from now on');
is(count_log($t, qr/\[alert\]/), 0, 'no alerts');
