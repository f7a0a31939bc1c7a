#!/usr/bin/perl

# Tests for texts of others that get into error_log: a portal's, and the names
# of SOCKS5 users.  There is no control character in it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::SOCKS;

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

    upstream relay {
        server 127.0.0.1:%%PORT_8082%%;
        trp_turn_client;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal ws://localhost:%%PORT_8081%% account_validation;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my $bad = "x\n2026/01/01 00:00:00 [notice] \e[31m\"\x{9b}\x{7f}";
my $good = 'x\x0A2026/01/01 00:00:00 [notice] \x1B[31m\x22';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081),
    init => { account_ids => [ $bad ] });

$t->run()->plan(6);

ok(wait_log($t, qr/portal sent "init"/), 'started');

$portal->event('account_added', { account_id => $bad });
ok(wait_log($t, qr/portal added account "\Q$good\E/), 'account added');

$portal->event('account_removed', { account_id => $bad });
ok(wait_log($t, qr/portal removed account "\Q$good\E/), 'account removed');

socks(port(8080), '127.0.0.1:1', user => "x\n\e[31m", password => 'y');
ok(wait_log($t, qr/SOCKS5 user "x\\x0A\\x1B\[31m" was not found/),
    'SOCKS5 user');

$portal->behave(join => 'error', reason => $bad);
reload_and_wait($t);
ok(wait_log($t, qr/portal refuses this relay: \Q$good\E/), 'reason');

# whatever was said: no line begins with it, and none has control characters

is(count_log($t, qr/[^\t\n -~]|^2026\/01\/01/), 0, 'only text');
