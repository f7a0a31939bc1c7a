#!/usr/bin/perl

# Tests for workers that die: another one speaks with the portal then, as the
# same relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /)->todo_alerts();

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal ws://localhost:%%PORT_8081%% account_validation;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081),
    init => { account_ids => [ 'anna' ] });

$t->run()->plan(9);

ok(wait_log($t, qr/portal sent "init"/), 'init');

my $secret = $portal->secret();
my @creds = $portal->credentials(account => 'anna');

is(turn(port => port(8478), @creds)->allocate()->{code}, 0, 'credentials');

# the portal says nothing to the next one for now

$portal->behave(init => undef);
my @old = worker_pids($t);
kill 'KILL', @old;

ok($portal->wait(qr/^1 end/), 'no connection without its worker');
ok(wait_log($t, qr/portal has accepted/, count => 2), 'there is a new one');
is($portal->secret(), $secret, 'the same secret');
is(turn(port => port(8478), @creds)->allocate()->{code}, 0,
    'accounts from before');

$portal->event('init', { account_ids => [ 'bert' ] });
ok(wait_log($t, qr/portal sent "init"/, count => 2), 'init');

is(turn(port => port(8478), @creds)->allocate()->{code}, 401,
    'other accounts now');
is($portal->count(qr/ open/), 2, 'one connection at a time');
