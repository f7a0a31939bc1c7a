#!/usr/bin/perl

# Tests for EVEN-PORT and RESERVATION-TOKEN.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_user bob:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;

        # a reserved port is not bound: nobody else must get it by chance
        trp_turn_ports 11000-12999;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp reuseport;
        trp_turn;
        trp_turn_ports 48901-48901;
    }
}

EOC

$t->run()->plan(34);

# an even port

my @all = map { my $c = client(); $c->allocate([ 'even-port' => 0 ]);
    $c } 1 .. 20;

is(scalar(grep { !is_even($_) } @all), 0, 'even ports');

my $r = client()->allocate([ 'even-port' => 0 ]);
ok(!defined $r->{attr}->{'reservation-token'}, 'no reservation');

# with the next one in reserve; another client, another worker, another user

for my $i (1 .. 8) {
    my $c = client();
    my $r = $c->allocate([ 'even-port' => 1 ]);
    my $token = $r->{attr}->{'reservation-token'};

    my $d = client($i % 2 ? () : (transport => 'tcp', port => port(8479)),
        user => $i < 5 ? 'alice' : 'bob');
    $d->allocate([ 'reservation-token' => $token ]);

    is(port_of($d), port_of($c) + 1, "the next port $i");
    is(client()->allocate([ 'reservation-token' => $token ])->{code}, 508,
        "once $i") if $i < 3;
}

my $c = client();
$r = $c->allocate([ 'even-port' => 1 ]);
is($r->{code}, 0, 'a pair');
is($r->{signed}, 'sha1', 'signed');
ok(is_even($c), 'even');
is(length $r->{attr}->{'reservation-token'}, 8, 'token');

# both relay

my $d = client();
is($d->allocate([ 'reservation-token' => $r->{attr}->{'reservation-token'} ])
    ->{code}, 0, 'the other one');

my $peer = turn_peer();

for my $client ($c, $d) {
    $client->permit('127.0.0.1');
    $client->send_to(peer_addr($peer), 'hello');
    is((peer_read($peer))[1], $client->relayed(), 'relays');
    peer_send($peer, $client->relayed(), 'back');
    is($client->read()->{attr}->{data}, 'back', 'and back');
}

# the second port stays when the first allocation has ended

$c = client();
$r = $c->allocate([ 'even-port' => 1 ]);
my $port = port_of($c);
$c->refresh(0);
$d = client();
$d->allocate([ 'reservation-token' => $r->{attr}->{'reservation-token'} ]);
is(port_of($d), $port + 1, 'without the first one');

# tokens differ, and cannot be guessed

my %tokens = map { client()->allocate([ 'even-port' => 1 ])
    ->{attr}->{'reservation-token'} => 1 } 1 .. 5;
is(keys %tokens, 5, 'different tokens');

is(error('reservation-token' => "\0" x 8), 508, 'no such token');
is(error('reservation-token' => 'abcdefgh'), 508, 'another one');

# a token in a wrong request is not used up

$c = client();
$r = $c->allocate([ 'even-port' => 1 ]);
my $token = $r->{attr}->{'reservation-token'};

is(error('reservation-token' => $token, 'even-port' => 0), 400,
    'with EVEN-PORT');
is(error('reservation-token' => $token, 'even-port' => 1), 400,
    'with EVEN-PORT and a reservation');
is(error('reservation-token' => $token,
    'requested-address-family' => 'ipv4'), 400, 'with a family');
is(error('reservation-token' => $token,
    'additional-address-family' => 'ipv6'), 400, 'with both families');
is(error('reservation-token' => \substr $token, 0, 7), 400, 'short');
is(error('reservation-token' => \"$token\0"), 400, 'long');
is(error('even-port' => 1, 'additional-address-family' => 'ipv6'), 400,
    'reservation of both families');

$d = client();
$d->allocate([ 'reservation-token' => $token ]);
is(port_of($d), port_of($c) + 1, 'after all that');

# no even port in the range; and no pair

is(turn(port => port(8480), user => 'alice', password => 'secret')
    ->allocate([ 'even-port' => 0 ])->{code}, 508, 'no even port');


sub is_even {
    my ($c) = @_;
    return (port_of($c) || 1) % 2 == 0;
}


sub port_of {
    my ($c) = @_;
    return ($c->relayed() || '') =~ /:(\d+)$/ ? $1 : 0;
}


sub error {
    my (@attrs) = @_;
    return client()->allocate(\@attrs)->{code};
}


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret',
        @_);
}
