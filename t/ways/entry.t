#!/usr/bin/perl

# Tests for an entry with two ways: a user who comes when the first one is dead
# waits for the second, and one who comes by the second is not cut off when the
# entry returns, also where the first way only swallows what is sent.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Gate;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $turn = Test::Nginx->new();
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);
reverse_conf($reverse, 8443);
turn_conf($turn, 'trp_turn_ports ' . GATE_TURN . ';');

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8444;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2;
        trp_entry_connect_timeout 1s;
        trp_entry_heartbeat 500ms;
        trp_entry_ssl_trusted_certificate localhost.crt;

        trp_entry_ways direct turn probe=500ms hold=500ms;
        trp_entry_turn tcp 127.0.0.1:8478;
        trp_entry_turn_user alice:secret;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $turn, $entry, $reverse);
$turn->write_file('localhost.key', $relay->read_file('localhost.key'));
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');
gate($relay, port(8444), port(8443));

# the first way swallows everything from the start

gate_set($relay, direct => 'silent');

$_->run() for $relay, $turn, $reverse, $entry;
$entry->plan(14 + 2 * 3);

ok(visit(port(8080)), 'a user who waits for the second way');

my $why = qr/fell back to "turn" .* as "direct" does not work: \S*.*timed out/;

ok(wait_log($entry, $why), 'the log says why');
ok(wait_log($entry, qr/probing "direct"/), 'the first way is probed');
ok(wait_log($entry, qr/relay timed out.*way: "direct"/), 'in vain');
is(count_log($entry, qr/\[error\] .*timed out/), 1, 'one error');

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'a user in flight');

gate_set($relay, direct => 'open');

ok(wait_log($entry, qr/returned to "direct"/), 'back');
ok(wait_for(sub { gate_now($relay)->{direct} >= 2 }), 'tunnels');
ok(wait_for(sub { gate_now($relay)->{turn} == 1 }), 'one is left');
ok(visit(port(8080), bytes => 100_000), 'a new user');
is(transfer($s, 100_000)->{end}, 'eof', 'the other goes on');

# it swallows what comes, with users in flight

$s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'another one');

gate_set($relay, direct => 'silent');

ok(wait_log($entry, qr/fell back to "turn"/, count => 2),
    'a tunnel that hangs with its user is no reason to stay');
ok(visit(port(8080)), 'the next user');
gate_set($relay, direct => 'open');
