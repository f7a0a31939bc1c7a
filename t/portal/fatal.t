#!/usr/bin/perl

# Tests for answers of a portal after which it is of no use to ask again: one
# line in the log, and no other connection before a reload.

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

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal ws://localhost:%%PORT_8081%%;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081), http => 401,
    headers => [ 'Retry-After: 1' ]);

$t->run()->plan(18);

ok(wait_log($t, qr/\[error\].*portal does not accept the token/), 'HTTP 401');
ok($portal->wait(qr/^1 end/), 'closed');
is(binding(), 'none', 'nothing is served');

# time enough for a second connection, and each reload brings one

$portal->behave(join => 'error', http => undef, headers => undef);
reload_and_wait($t);

ok(wait_log($t, qr/\[error\].*portal refuses this relay: no room/),
    'error for an answer to the join');
ok($portal->wait(qr/^2 end/), 'closed');
is(binding(), 'none', 'nothing is served');

$portal->behave(join => 'ok');
reload_and_wait($t);

ok(wait_log($t, qr/portal sent "init"/), 'a good answer, after a reload');
is(binding(), 0, 'is served');

$portal->event('disconnect', { reason => 'whatever' });
$portal->event('disconnect', { reason => 'token_expired' });

ok(wait_log($t, qr/\[error\].*portal says that the token has expired/),
    'token expired');
ok($portal->wait(qr/^3 end/), 'closed');

my $c = turn(port => port(8478), $portal->credentials());
is($c->allocate()->{code}, 0, 'goes on serving');

# the next generation of workers

reload_and_wait($t);

ok($portal->wait(qr/^4 text .*phx_join/), 'asked again after a reload');
is($c->refresh()->{code}, 0, 'the allocation');

is($portal->count(qr/ open/), 4, 'one connection for each configuration');
is(count_log($t, qr/portal does not accept/), 1, '401, once');
is(count_log($t, qr/portal refuses/), 1, 'error, once');
is(count_log($t, qr/portal says/), 1, 'expired, once');
is(count_log($t, qr/tried again in/), 0, 'nothing was tried again');

# workers stay for an allocation

$c->refresh(0);


sub binding {
    my $r = turn(port => port(8478), timeout => 2)->binding();
    return $r->{class} eq 'timeout' ? 'none' : $r->{code};
}
