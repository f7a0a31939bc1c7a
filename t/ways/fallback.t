#!/usr/bin/perl

# Tests for an agent with two ways, direct and through a TURN server: it falls
# back when the first one is closed, returns when that is open again, says so
# in one line each, and its users in flight go on; a reload keeps the way.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Gate;
use Test::Nginx::TRP::Rows;

my $hub = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $turn = Test::Nginx->new();
my $agent = Test::Nginx->new();

hub_conf($hub, user => 8081);
turn_conf($turn, 'trp_turn_ports ' . GATE_TURN . ';');

status_conf($agent, main => <<'EOM', stream => <<'EOC');
error_log %%TESTDIR%%/notice.log notice;
worker_processes 2;
EOM
    upstream relay {
        server 127.0.0.1:8444;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_name home;
        trp_reverse_pool idle=2;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_ways direct turn probe=1s hold=1s;
        trp_reverse_turn tcp 127.0.0.1:8478;
        trp_reverse_turn_user alice:secret;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
EOC

trp_cert($hub, $turn, $agent);
$turn->write_file('localhost.key', $hub->read_file('localhost.key'));
$hub->write_file('authorized_keys', join "\n", trp_keys($agent, 'reverse'));

serve($agent, port(8090), 'echo');
gate($hub, port(8444), port(8443));

$_->run() for $hub, $turn, $agent;
$agent->plan(22 + 2 * 2);

my $port = port(8444);
my $fell = qr/\[warn\] .* fell back to "turn" for relay 127.0.0.1:$port, as "direct" does not work: \S.*, group: "0", name: "home"/;
my $returned = qr/\[notice\] .* returned to "direct" for relay 127.0.0.1:$port, after \d+ s by "turn", group: "0", name: "home"/;

ok(wait_for(sub { gate_now($hub)->{direct} == 4 }), 'all by the first way');
is(gate_now($hub)->{turn_all}, 0, 'none by the second');
is(join(' ', way()), 'direct 0', 'status');
ok(visit(port(8081)), 'a user');

# the first one is closed

gate_set($hub, direct => 'closed');

ok(wait_for(sub { gate_now($hub)->{turn} == 4 }), 'all by the second way');
ok(wait_for(sub { visit(port(8081), bytes => 100_000) }), 'a user');
ok(wait_log($agent, $fell, file => 'notice.log'), 'the log tells it');
is(join(' ', way()), 'turn 1', 'status');

# a reload does not begin with what does not work

my $s = connect_to(port(8081));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'a user in flight');

reload_and_wait($agent);

ok(wait_for(sub { gate_now($hub)->{turn} >= 5 }), 'tunnels after a reload');
ok(visit(port(8081)), 'a user');
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'the other goes on');

# it is open again

gate_set($hub, direct => 'open');

ok(wait_for(sub { gate_now($hub)->{direct} == 4 }), 'back on the first way');
ok(wait_log($agent, $returned, file => 'notice.log'), 'the log tells it');
ok(wait_for(sub { gate_now($hub)->{turn} == 1 }), 'one tunnel is left');
is(join(' ', way()), 'direct 2', 'status');
ok(visit(port(8081)), 'a new user');

my $result = transfer($s, 100_000);
is($result->{end}, 'eof', 'who has come by the other way stays to the end');
is($result->{received_sha}, $result->{sent_sha}, 'and has got everything');
ok(wait_for(sub { gate_now($hub)->{turn} == 0 }), 'then its tunnel goes');

is(count_log($agent, $fell, file => 'notice.log'), 1, 'one line');
is(count_log($agent, $returned, file => 'notice.log'), 1, 'and another');


sub way {
    my ($row) = @{status_json(http_get('/trp/status.json'))->{relays}};
    return ($row->{way}, $row->{way_changes_total});
}
