#!/usr/bin/perl

# Tests for a relay that is away for a while, by all ways: the agent tries them
# in turn, without a storm, and is back on the best one soon; a short restart
# is no reason to leave it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Gate;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $turn = Test::Nginx->new();
my $agent = Test::Nginx->new();

hub_conf($hub);
turn_conf($turn, 'trp_turn_ports ' . GATE_TURN . ';');

$agent->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8444;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=8;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_ways direct turn probe=2s hold=1s;
        trp_reverse_turn tcp 127.0.0.1:8478;
        trp_reverse_turn_user alice:secret;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($hub, $turn, $agent);
$turn->write_file('localhost.key', $hub->read_file('localhost.key'));
$hub->write_file('authorized_keys', join "\n", trp_keys($agent, 'reverse'));

serve($agent, port(8090), 'echo');
gate($hub, port(8444), port(8443));

$_->run() for $hub, $turn, $agent;
$agent->plan(12 + 2 * 2);

ok(wait_for(sub { gate_now($hub)->{direct} == 8 }), 'the first way');

# for a moment

gate_set($hub, direct => 'closed', turn => 'closed');
ok(wait_for(sub { gate_now($hub)->{direct} == 0 }), 'gone');
gate_set($hub, direct => 'open', turn => 'open');

ok(wait_for(sub { gate_now($hub)->{direct} == 8 }), 'back');
is(gate_now($hub)->{turn_all}, 0, 'nothing else was tried');

# for longer: each of the ways is tried, and one attempt is made at a time

my $before = gate_now($hub);

gate_set($hub, direct => 'closed', turn => 'closed');

ok(wait_for(sub { gate_now($hub)->{turn_all} >= 1 }), 'the other way is tried');

my $then = gate_now($hub);
my $direct = $then->{direct_all} - $before->{direct_all};

# backoff makes some 6 attempts in the first 3 seconds, then they take turns

cmp_ok($direct, '<', 30, "$direct attempts by the first");

gate_set($hub, direct => 'open', turn => 'open');

ok(wait_for(sub { gate_now($hub)->{direct} == 8 && !gate_now($hub)->{turn} },
    60), 'back on the first way');
ok(visit(port(8080)), 'a user');

my $now = gate_now($hub);

# 8 tunnels by each way at most, a probe, and an attempt

cmp_ok($now->{direct_all} - $then->{direct_all}, '<', 15, 'no storm');
cmp_ok($now->{turn_all} - $then->{turn_all}, '<', 15, 'by the other way');

my $changes = count_log($agent, qr/fell back to|returned to/);
cmp_ok($changes, '<=', 2, "$changes changes");
is($changes % 2, 0, 'as many times back');
