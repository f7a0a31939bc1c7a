#!/usr/bin/perl

# Tests for a reverse whose network resolves no names, and which falls back to
# a proxy that does; when names are resolved, it returns.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::DNS;
use Test::Nginx::TRP::Proxies;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $agent = Test::Nginx->new();

hub_conf($hub);

$agent->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    resolver 127.0.0.1:%%PORT_8053_UDP%% ipv6=off;

    upstream relay {
        server relay.example:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2;
        trp_reverse_ssl_name localhost;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_ways direct proxy probe=1s hold=1s;
        trp_reverse_proxy http://127.0.0.1:8128;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($hub, $agent);
$hub->write_file('authorized_keys', join "\n", trp_keys($agent, 'reverse'));

squid($agent, port(8128), hosts => '127.0.0.1 relay.example')
    or plan(skip_all => 'no squid');

dns($agent, port(8053, udp => 1));
serve($agent, port(8090), 'echo');

$_->run() for $hub, $agent;
$agent->plan(7 + 2);

my $why = qr/as "direct" does not work: relay.example could not be resolved: /;

ok(wait_log($agent, qr/\[warn\] .* fell back to "proxy" .*, $why/),
    'the name cannot be resolved');
ok(visit(port(8080)), 'a user');
ok(wait_log($agent, qr/tunnel is ready.*way: "proxy"/, count => 2), 'a pool');

# pools of names that are not known have no tunnel to lose

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'a user in flight');

dns_change($agent, 'relay.example' => '127.0.0.1');

ok(wait_log($agent, qr/returned to "direct" for relay 127.0.0.1:\d+/,
    timeout => 60), 'back');
ok(visit(port(8080)), 'a new user');
is(transfer($s, 1000)->{end}, 'eof', 'the other has noticed nothing');
