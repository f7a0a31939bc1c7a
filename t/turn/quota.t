#!/usr/bin/perl

# Tests for the number of allocations that a user or an address may have.

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
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_user bob:secret;
    trp_turn_user carol:secret;
    trp_turn_user dora:secret;
    trp_turn_user emil:secret;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_quota user=3;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp reuseport;
        trp_turn;
        trp_turn_quota address=3;
    }

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp reuseport;
        trp_turn;
        trp_turn_quota user=2 address=3;
    }

    server {
        listen 127.0.0.1:%%PORT_8482_UDP%% udp reuseport;
        trp_turn;
        trp_turn_quota user=1;
        trp_turn_lifetime 1s;
    }
}

EOC

$t->run()->plan(23);

# for a user, in all workers and servers, from any address, over UDP and TCP

my @all = map { client(8478, 'alice', from => "127.0.0.$_") } 1 .. 3;
is(codes(@all), '0 0 0', 'three of a user');

my $more = client(8478, 'alice');
my $r = $more->allocate();
is($r->{code}, 486, 'no fourth');
is($r->{signed}, 'sha1', 'signed');
is(codes(map { client(8478, 'alice') } 1 .. 12), "@{[ (486) x 12 ]}",
    'whichever worker');
is(client(8479, 'alice', transport => 'tcp')->allocate()->{code}, 486,
    'nor over TCP');

is($all[0]->refresh()->{code}, 0, 'the others live on');
is(client(8478, 'bob')->allocate()->{code}, 0, 'another user');

# one ends, then another may be made; by any worker

my $again = 0;

for (1 .. 8) {
    my $old = shift @all;
    $old->refresh(0);

    push @all, client(8478, 'alice');
    $again++ if begins($all[-1]);
}

is($again, 8, 'one ends, another begins');
is($more->allocate()->{code}, 486, 'and no more than that');

# the same port may try again

$all[0]->refresh(0);
ok(begins($more), 'the refused client, later');

# a client that goes away

my $tcp = client(8479, 'alice', transport => 'tcp');
$all[1]->refresh(0);
ok(begins($tcp), 'over TCP');
is($all[1]->allocate()->{code}, 486, 'counts');
$tcp->close();
ok(begins($all[1]), 'until it closes');

# time-limited users are the same user with another time

my $then = time() + 3600;
@all = map { client(8478, $then + $_ . ':fritz') } 1 .. 4;
is(codes(@all), '0 0 0 486', 'time-limited');

# for an address, of all users

my @from = (from => '127.0.1.1');

@all = map { client(8480, $_, @from) } qw/ alice bob alice bob /;
is(codes(@all), '0 0 0 486', 'three of an address');
is(client(8480, 'alice', from => '127.0.1.2')->allocate()->{code}, 0,
    'another address');
$all[0]->refresh(0);
ok(begins($all[3]), 'one ends, another begins');

# both

@from = (from => '127.0.2.1');

@all = map { client(8481, $_, @from) } qw/ carol carol carol dora dora /;
is(codes(@all), '0 0 486 0 486', 'both');
$more = client(8481, 'dora', from => '127.0.2.2');
is($more->allocate()->{code}, 0, 'another address, and the user has one');
$more->refresh(0);

# wrong requests do not count

@from = (from => '127.0.2.3');

@all = map { client(8481, 'dora', @from, password => 'x') } 1 .. 5;
is(codes(@all), '401 401 401 401 401', 'wrong password');
is(client(8481, 'dora', @from)->allocate()->{code}, 0, 'after that');

# allocations that expire

is(client(8482, 'emil')->allocate()->{code}, 0, 'one');
ok(begins(client(8482, 'emil')), 'expired');


# when one has ended with another worker, this one may know it a moment later

sub begins {
    my ($c) = @_;
    return wait_for(sub { $c->allocate()->{code} eq '0' });
}


sub codes {
    return join ' ', map { $_->allocate()->{code} } @_;
}


sub client {
    my ($port, $user, %opts) = @_;

    return turn(port => port($port), user => $user,
        password => $user =~ /:/ ? stun_rest('north', $user) : 'secret',
        %opts);
}
