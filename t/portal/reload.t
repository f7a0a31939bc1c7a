#!/usr/bin/perl

# Tests for a portal and workers that come and go: one connection at a time,
# the same secret, and old workers that end at once whatever they wait for.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

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

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal wss://localhost:%%PORT_8081%%;
        trp_turn_portal_token_file token;
        trp_turn_portal_trusted_certificate localhost.crt;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';
trp_cert($t);

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081),
    ssl => 'localhost', mute => 1);

$t->run()->plan(21);

# a reload in each of the states of a connection

ok($portal->wait(qr/^1 open/), 'TLS handshake');
ok(reload($t), 'workers end');
ok($portal->wait(qr/^1 end/), 'with their connection');

ok($portal->wait(qr/^2 open/), 'the next workers have one');
$portal->behave(mute => 0, http => 503, headers => [ 'Retry-After: 600' ]);
ok(reload($t), 'workers end');

ok(wait_log($t, qr/tried again in 601000 ms/), 'waiting');
$portal->behave(http => undef, join => undef);
ok(reload($t), 'workers end');

ok($portal->wait(qr/phx_join/), 'joining');
$portal->behave(join => 'ok', init => undef);
ok(reload($t), 'workers end');
ok($portal->wait(qr/^4 close 1001/), 'they say so');

ok(wait_log($t, qr/portal has accepted/), 'joined');
$portal->behave(init => {});
ok(reload($t), 'workers end');

ok(wait_log($t, qr/portal sent "init"/), 'init');

my $c = turn(port => port(8478), $portal->credentials());
is($c->allocate()->{code}, 0, 'an allocation');

my $secret = $portal->secret();
my @creds = $portal->credentials();

# which keeps an old worker, but not its connection

reload_and_wait($t);

ok($portal->wait(qr/^6 end/), 'the old connection ends');
ok(wait_log($t, qr/portal sent "init"/, count => 2), 'there is a new one');

is($portal->secret(), $secret, 'the same secret');
is($c->refresh(0)->{code}, 0, 'the allocation');

my $other = turn(port => port(8478), @creds);
is($other->allocate()->{code}, 0, 'credentials from before');
is($other->refresh(0)->{code}, 0, 'and its end');

is($portal->count(qr/ open/), 7, 'one connection at a time');


# reloads, and waits until the old workers have ended

sub reload {
    my ($t) = @_;
    my @old = worker_pids($t);

    reload_and_wait($t);

    return wait_for(sub { !grep { kill 0, $_ } @old }, 10);
}
