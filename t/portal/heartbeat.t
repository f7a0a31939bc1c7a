#!/usr/bin/perl

# Tests for a portal that is there, but does not answer: neither the join nor
# heartbeats.

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
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal ws://127.0.0.1:%%PORT_8081%%;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081), join => undef,
    heartbeat => 0);

$t->run()->plan(13);

ok($portal->wait(qr/^1 text .*phx_join/), 'joins');
ok(wait_log($t, qr/portal does not reply to the join/), 'in vain');
ok($portal->wait(qr/^2 text .*phx_join/), 'joins again');

is(turn(port => port(8478), timeout => 0.5)->binding()->{class}, 'timeout',
    'nothing is served');

# the next connection, which is let in; it takes 50 seconds until it is lost

$portal->behave(join => 'ok');

ok(wait_log($t, qr/portal sent "init"/), 'init');

my $c = turn(port => port(8478), $portal->credentials());
is($c->allocate()->{code}, 0, 'an allocation');

ok(wait_log($t, qr/portal does not answer heartbeats/, timeout => 90),
    'no answers');

my @beats = $portal->texts(qr/heartbeat/);

is(join(' ', map { $_->{ref} } @beats), '1 2 3 4', 'heartbeats');
is_deeply($beats[0], { topic => 'phoenix', event => 'heartbeat',
    payload => {}, ref => 1 }, 'a heartbeat');

$portal->behave(heartbeat => 1);

ok(wait_log($t, qr/portal sent "init"/, count => 2), 'connects again');
is($c->refresh()->{code}, 0, 'the allocation');

# one that is answered

ok($portal->wait(qr/heartbeat/, count => 6), 'more heartbeats');
is(count_log($t, qr/does not answer heartbeats/), 1, 'with answers');
