#!/usr/bin/perl

# Tests for SOCKS5 over TURN when clients go away before their destination has
# answered: the allocations are there for the next ones.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
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

    proxy_half_close on;

    server {
        listen 127.0.0.1:8478;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 26000-31999;
        trp_turn_user alice:secret;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }

    upstream turn {
        server 127.0.0.1:8478;
        trp_turn_client;
        trp_turn_client_user alice:secret;
        trp_turn_client_allocations 4;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass turn;
    }
}

EOC

my ($proxy, $to) = (port(8080), '127.0.0.1:' . port(8090));

serve($t, port(8090), 'echo');
$t->run()->plan(3);

is(socks($proxy, $to)->echo('SEE THIS'), 'SEE THIS', 'a client');

# they ask and leave at once

for (1 .. 40) {
    my $c = socks($proxy, $to, stop => 'greeting');
    $c->write(socks_request($to));
    $c->close();
}

my $right = 0;

for (1 .. 20) {
    my $c = socks($proxy, $to);
    $right++ if defined $c->rep() && $c->rep() == 0
        && $c->echo('SEE THIS') eq 'SEE THIS';
}

is($right, 20, 'those after them');
is(count_log($t, qr/ 446 /), 0, 'no allocation is in the way');
