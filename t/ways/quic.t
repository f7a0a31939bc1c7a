#!/usr/bin/perl

# Tests for a reverse that prefers QUIC, at a relay that has none, then has it,
# and then has none any more.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

port(8443, both => 1);

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $agent = Test::Nginx->new();

my $udp = 'listen 127.0.0.1:%%PORT_8443_UDP%% udp reuseport;';

hub_conf($hub);

$agent->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2;
        trp_reverse_connect_timeout 1s;
        trp_reverse_heartbeat 500ms;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_ways quic direct probe=1s hold=1s;
        trp_reverse_quic on;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($hub, $agent);
$hub->write_file('authorized_keys', join "\n", trp_keys($agent, 'reverse'));

serve($agent, port(8090), 'echo');

$_->run() for $hub, $agent;
$agent->plan(9 + 2);

ok(wait_log($agent, qr/fell back to "direct" .* as "quic" does not work: \S/),
    'no QUIC');
ok(visit(port(8080), bytes => 100_000), 'a user');

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'a user in flight');

# with

hub_conf($hub, relay => $udp);
reload_and_wait($hub);

ok(wait_log($agent, qr/returned to "quic"/), 'QUIC is used as soon as it is there');
ok(visit(port(8080), bytes => 100_000), 'a user');
is(transfer($s, 1000)->{end}, 'eof', 'the other has noticed nothing');
ok(wait_log($agent, qr/tunnel is ready.*way: "quic"/, count => 3),
    'a probe, and a pool');

# without

hub_conf($hub);
$hub->stop();
$hub->run();

ok(wait_log($agent, qr/fell back to "direct"/, count => 2), 'gone again');
ok(wait_for(sub { visit(port(8080)) }), 'a user');
