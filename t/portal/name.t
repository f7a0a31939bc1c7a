#!/usr/bin/perl

# The name of a TURN server's portal is resolved while nginx runs: it starts
# without it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;
use Test::Nginx::TRP::Portal;

my $t = Test::Nginx->new()->has(qw/ stream udp /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_portal ws://portal.trp.test:%%PORT_8081%%;
        trp_turn_portal_token_file token;
        trp_turn_external_address 127.0.0.1;
    }
}

EOC

$t->write_file('token', "secret\n");
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081));
dns($t, port(8982, udp => 1));

$t->run()->plan(5);

# not there yet

ok(wait_log($t, qr/\[error\].* portal "portal\.trp\.test" could not be /
    . qr/resolved /), 'the log has the name');
ok(dns_asked($t, 'portal.trp.test', 4), 'it is asked for again');

# there it is

dns_change($t, 'portal.trp.test' => '127.0.0.1');
ok(wait_log($t, qr/portal "portal\.trp\.test" is at 127\.0\.0\.1:/),
    'its address');
ok(wait_log($t, qr/portal has accepted the relay/), 'has joined');
is(count_log($t, qr/portal "portal\.trp\.test" could not be resolved/), 1,
    'one line');
