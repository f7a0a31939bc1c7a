#!/usr/bin/perl

# Tests for what clients of the TURN server keep over a reload: nonces, REST
# credentials, permissions, channels, reservations, quotas; and for what a new
# configuration changes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_return /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 20000-31999;
        trp_turn_user alice:secret;
        trp_turn_user bob:secret;
        trp_turn_secret north;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_quota user=20;
        trp_turn_unauthenticated_rate 1000r/s;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        return "$trp_turn_allocations $trp_turn_total_allocations";
    }
}

EOC

my $rest = (time() + 3600) . ':carol';
my @rest = (user => $rest, password => stun_rest('north', $rest));
my $peer = turn_peer();
my $addr = peer_addr($peer);

$t->run()->plan(3 * 10 + 16);

# several clients, so that there are some in each worker

my @clients = map { client($_) } ([], [], [ @rest ], [ @rest ],
    [ tcp() ], [ tcp(), @rest ]);

for my $c (@clients) {
    $c->{request} = $c->request('allocate',
        [ 'requested-transport' => 17 ]) if !$c->allocate()->{code};
    $c->bind_channel(0x4000, $addr);
}

# what has been sent before it has answered is the same again afterwards

my @again = map { client([]) } 1 .. 4;

for my $c (@again) {
    $c->learn($c->call('allocate', [ 'requested-transport' => 17 ],
        retry => 0));
    $c->{bytes} = $c->request('allocate', [ 'requested-transport' => 17 ]);
    $c->{first} = $c->exchange($c->{bytes})->{attr}->{'xor-relayed-address'};
}

my @learnt = map { client([ @rest ]) } 1 .. 4;

$_->learn($_->call('allocate', [], retry => 0)) for @learnt;

my $reserved = client([]);
my $token = $reserved->allocate([ 'even-port' => 1 ])
    ->{attr}->{'reservation-token'};

is(wait_for(sub { counters() eq '11 11' }), 1, 'allocations');

for my $n (1 .. 3) {
    reload_and_wait($t);

    is(sum(sub { $_[0]->refresh(600, [], retry => 0)->{code} eq '0' },
        @clients), 6, "$n: nonces");
    is(sum(\&relays, @clients), 6, 'channels');
    is(sum(sub { $_[0]->bind_channel(0x4000, $addr)->{code} eq '0' },
        @clients), 6, 'bound again');
    is(sum(sub { $_[0]->bind_channel(0x4000, '127.0.0.1:9')->{code} eq '400' },
        @clients), 6, 'to one peer only');
    is(sum(sub { $_[0]->exchange($_[0]->{request})->{code} eq '437' },
        @clients), 6, 'there is an allocation');
    is(sum(sub { $_[0]->exchange($_[0]->{bytes})
            ->{attr}->{'xor-relayed-address'} eq $_[0]->{first} }, @again), 4,
        'a repeated Allocate');
    is(sum(sub { $_[0]->permit('127.0.0.2')->{code} eq '0' }, @clients), 6,
        'another permission');
    is(sum(sub { $_[0]->permit('192.168.0.1')->{code} eq '403' }, @clients), 6,
        'a denied one');
    is(sum(sub { $_[0]->binding()->{attr}->{'xor-mapped-address'}
        eq $_[0]->addr() }, @clients), 6, 'binding');
    is(wait_for(sub { counters() eq '11 11' }), 1, 'counters');
}

# nonces and a reservation from before

is(sum(sub { $_[0]->allocate([], retry => 0)->{code} eq '0' }, @learnt), 4,
    'nonces of strangers');

my $c = client([]);
is($c->allocate([ 'reservation-token' => $token ])->{code}, 0, 'reservation');
is(port_of($c), port_of($reserved) + 1, 'its port');

# users who have gone keep what they have, and get no more

change($t, 'trp_turn_user alice:secret', 'trp_turn_user dave:secret');

is(sum(sub { $_[0]->refresh()->{code} eq '0' && relays($_[0]) }, @clients), 6,
    'all allocations stay');
is(client([])->allocate()->{code}, 401, 'user who has gone');

my $dave = client([ user => 'dave' ]);
is($dave->allocate()->{code}, 0, 'new user');

change($t, 'trp_turn_secret north', 'trp_turn_secret south');

is(client([ @rest ])->allocate()->{code}, 401, 'secret that has gone');

my $south = client([ user => $rest, password => stun_rest('south', $rest) ]);
is($south->allocate()->{code}, 0, 'new secret');

# quotas count what old workers have

change($t, 'quota user=20', 'quota user=2');

my @bob = map { client([ user => 'bob' ]) } 1 .. 3;

is(join(' ', map { $_->allocate()->{code} } @bob), '0 0 486', 'quota');
reload_and_wait($t);
is($bob[2]->allocate()->{code}, 486, 'quota after a reload');
is($bob[0]->refresh(0)->{code}, 0, 'one less');
is(wait_for(sub { $bob[2]->allocate()->{code} eq '0' }), 1, 'room');

# all of them end

is(sum(sub { $_[0]->refresh(0)->{code} eq '0' }, @clients, @again, @learnt, $c,
    $reserved, @bob[1, 2], $dave, $south), 20, 'deleted');
is(wait_for(sub { (() = worker_pids($t, qr/worker process/)) == 2 }), 1,
    'old workers end');
is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');


# workers publish them now and then

sub counters {
    return stream('127.0.0.1:' . port(8480))->read();
}


sub client {
    my ($opts) = @_;

    return turn(port => port(8478, udp => 1), user => 'alice',
        password => 'secret', @$opts);
}


sub tcp {
    return (port => port(8479), transport => 'tcp');
}


sub sum {
    my ($code, @list) = @_;
    return scalar grep { $code->($_) } @list;
}


# to the peer and back

sub relays {
    my ($c) = @_;

    $c->send_channel(0x4000, 'hello');
    my ($data, $from) = peer_read($peer, 10);
    return 0 if !defined $data || $from ne $c->relayed();

    peer_send($peer, $from, "$data back");
    my $m = $c->expect('channel');
    return $m && $m->{data} eq 'hello back';
}


sub port_of {
    my ($c) = @_;
    return $c->relayed() =~ /:(\d+)$/ ? $1 : 0;
}


sub change {
    my ($t, $from, $to) = @_;

    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
        =~ s/\Q$from\E/$to/r);
    reload_and_wait($t);
}
