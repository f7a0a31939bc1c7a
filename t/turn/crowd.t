#!/usr/bin/perl

# Tests for many clients that start at once behind one address, over UDP and
# with default settings: all of them get an allocation.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

# how often a client sends its request by default (RFC 8489, section 6.2.1)

use constant { CLIENTS => 250, SENDS => 7 };

my $t = Test::Nginx->new()->has(qw/ stream stream_return /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
    worker_connections 2048;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;
        trp_turn;
        trp_turn_unauthenticated_rate 1r/s burst=1;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        trp_turn;
        trp_turn_unauthenticated_rate off;
    }
}

EOC

$t->run()->plan(6);

# they keep their ports

my @all;

is(crowd(8478, '127.0.88.1', CLIENTS), CLIENTS, 'all of them');
is(crowd(8478, '127.0.88.1', CLIENTS, 1), CLIENTS, 'later ones, at once');
is(crowd(8479, '127.0.88.1', 90), 90, 'one is enough to begin with');
is(crowd(8480, '127.0.88.1', CLIENTS, 1), CLIENTS, 'without a limit');

# where nobody authenticates it is as it was

cmp_ok(crowd(8478, '127.0.88.2', CLIENTS, 1, 'wrong'), '<=', 20,
    'nobody who is known');
is(turn(port => port(8478, udp => 1), from => '127.0.88.3')
    ->call('allocate', [], retry => 0)->{code}, 401, 'another address');


# Each sends its first Allocate, all of them at once, and again as long as
# there is no answer.  Returns how many have an allocation in the end, or, with
# wrong credentials, were answered.

sub crowd {
    my ($port, $from, $count, $sends, $secret) = @_;
    my $user = time() + 3600 . ':somebody';
    my $n = 0;

    my @waiting = map { turn(port => port($port, udp => 1), from => $from,
        user => $user, password => stun_rest($secret || 'north', $user)) }
        1 .. $count;

    push @all, @waiting;

    for (1 .. $sends || SENDS) {
        my @silent;

        for my $c (@waiting) {
            $c->write(stun_message('allocate', []));
        }

        for my $c (@waiting) {

            # what was answered before this is here

            $c->binding();
            my ($answer) = grep { $_->{method} eq 'allocate' } $c->queue();

            if (!$answer) {
                push @silent, $c;
                next;
            }

            $c->learn($answer);
            $n++ if $secret || $c->allocate([], retry => 0)->{code} eq '0';
        }

        @waiting = @silent;
    }

    return $n;
}
