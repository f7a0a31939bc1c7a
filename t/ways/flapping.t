#!/usr/bin/perl

# Tests for a way that works for a second now and then: the agent does not
# follow it, whether it begins with it or has fallen back.

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
        trp_reverse_pool idle=2;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_ways direct turn probe=300ms hold=2s;
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
$agent->plan(10 + 2 * 2);

my $fell = qr/\[warn\] .* fell back to "turn"/;
my $returned = qr/\[notice\] .* returned to "direct"/;
my $probing = qr/\[info\] .* probing "direct" to relay/;

# it begins to flap

ok(wait_for(sub { gate_now($hub)->{direct} == 2 }), 'the first way');

gate_set($hub, direct => 'flaps');

ok(wait_log($agent, $fell), 'left');
ok(wait_for(sub { gate_now($hub)->{turn} >= 2 }), 'the second way');

# some probes reach the relay, and are lost

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'a user in flight');

my $reached = count_log($hub, qr/has a tunnel in group/);

ok(wait_for(sub {
    return count_log($hub, qr/has a tunnel in group/) > $reached;
}), 'a probe has reached the relay');

ok(wait_log($agent, $probing, count => 5), 'there are several probes');
is(count_log($agent, $returned), 0, 'no return');
is(count_log($agent, $fell), 1, 'left once');
is(transfer($s, 1000)->{end}, 'eof', 'the user has noticed nothing');

# it is well

gate_set($hub, direct => 'open');

ok(wait_log($agent, $returned), 'return when it holds');
