#!/usr/bin/perl

# Tests for time-limited credentials that end while they are in use: an
# allocation goes on with them, unless "trp_turn_check_expiry always" is there.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

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
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_tcp_allocations on;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%% reuseport;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8481%% reuseport;
        trp_turn;
        trp_turn_check_expiry always;
    }
}

EOC

$t->run()->plan(24);

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalPort => port(8482),
    LocalAddr => '0.0.0.0', ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

my $peer = turn_peer();
my $peers = 0;
my $then = time() + 4;

my ($udp, $tcp, $strict, $strict_tcp)
    = map { client($_, "$then:name") } 8478, 8479, 8480, 8481;

my $sha256 = client(8479, "$then:sha", algorithm => 'sha256',
    integrity => 'sha256');

is($udp->allocate()->{code}, 0, 'allocated');
is($strict->allocate()->{code}, 0, 'allocated, strict');
is($sha256->allocate()->{code}, 0, 'allocated, SHA-256');
is($_->allocate([], protocol => 'tcp')->{code}, 0, 'allocated, TCP')
    for $tcp, $strict_tcp;

my ($id, $strict_id) = map { connection($_) } $tcp, $strict_tcp;

# its time is over

wait_for(sub { client(8478, "$then:name")->allocate()->{code} eq '401' });

is($udp->refresh(600)->{code}, 0, 'refresh');
is($udp->permit('127.0.0.1')->{code}, 0, 'permission');
is($udp->bind_channel(0x4000, peer_addr($peer))->{code}, 0, 'channel');
$udp->send_channel(0x4000, 'hello');
is((peer_read($peer))[0], 'hello', 'data');
is($sha256->refresh(600)->{code}, 0, 'refresh, SHA-256');
is($udp->refresh(600, [], password => 'wrong')->{code}, 401,
    'wrong password');
is($udp->refresh(600, [], user => "$then:other",
    password => stun_rest('north', "$then:other"))->{code}, 401,
    'another name');

# connections of an allocation over TCP, in whichever worker

my $right = 0;

for $id ($id, map { connection($tcp) } 1 .. 7) {
    my ($data) = $tcp->bind_connection($id);
    $data->write('hello');
    $right++ if $data->read_bytes(5) eq 'hello';
}

is($right, 8, 'connections');
is(($tcp->bind_connection(connection($tcp), password => 'wrong'))[1]->{code},
    401, 'a connection, wrong password');

# what the allocation had was for this one

is($udp->refresh(0)->{code}, 0, 'end');
is($udp->allocate()->{code}, 401, 'no other one');
is($udp->refresh(600)->{code}, 401, 'nor what there is no more');

# strict

is($strict->refresh(600)->{code}, 401, 'strict, refresh');
is($strict->permit('127.0.0.1')->{code}, 401, 'strict, permission');
is($strict->bind_channel(0x4000, '127.0.0.1:9')->{code}, 401,
    'strict, channel');
is(($strict_tcp->bind_connection($strict_id))[1]->{code}, 401,
    'strict, connection');
is($strict->refresh(0, [], password => 'wrong')->{code}, 401,
    'strict, end by another');
is($strict->refresh(0)->{code}, 0, 'strict, end');
is($strict->refresh(0)->{code}, 401, 'strict, it has ended');


sub client {
    my ($port, $user, %opts) = @_;
    my $tcp = $port % 2;

    return turn(port => port($port, udp => !$tcp), user => $user,
        password => stun_rest('north', $user),
        transport => $tcp ? 'tcp' : 'udp', %opts);
}


# the id of a connection to a peer that was not used before

sub connection {
    my ($c) = @_;
    my $r = $c->call('connect', [ 'xor-peer-address'
        => '127.0.1.' . ++$peers . ':' . port(8482) ]);

    return $r->{attr}->{'connection-id'};
}
