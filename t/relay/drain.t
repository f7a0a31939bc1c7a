#!/usr/bin/perl

# Tests for DRAIN: a worker of the relay that exits sends it on its idle
# tunnels, and refuses what is opened there nevertheless.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /)->plan(25);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 1h;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run();

my $dir = $relay->testdir();

my $idle_entry = agent('entry');
my $idle_reverse = agent('reverse');
my $lonely = agent('entry', 'lonely');
my $entry = agent('entry', 'busy');
my $reverse = agent('reverse', 'busy');

my ($old) = worker_pids($relay);

# one stream runs, another one waits for a reverse

open_stream($entry, $reverse);
$lonely->write(frame('OPEN', open_payload(port => 80)));
$idle_entry->send('PING');
ok($idle_entry->expect('PONG'), 'waits');

reload_and_wait($relay);

ok($idle_entry->expect('DRAIN'), 'idle entry');
ok($idle_reverse->expect('DRAIN'), 'idle reverse');

# OPEN crosses DRAIN

$idle_entry->write(frame('OPEN', open_payload(port => 80))
    . frame('DATA', 'early'));
refused($idle_entry, 'OPEN after DRAIN');
$idle_entry->write(frame('RESET') . frame('DONE'));
ok($idle_entry->expect('DONE'), 'answered');

# the one that waited is sent to the new worker

refused($lonely, 'the one that waits');
$lonely->write(frame('RESET') . frame('DONE'));
ok($lonely->expect('DONE'), 'answered');
ok($lonely->expect('DRAIN'), 'and drained');

# the stream goes on to its end; then its tunnels drain

$entry->send('DATA', 'ping');
is($reverse->data(length => 4), 'ping', 'running stream');
$reverse->send('DATA', 'pong');
is($entry->data(length => 4), 'pong', 'both ways');

ok(kill(0, $old), 'its worker is there');

$entry->send('END');
ok($reverse->expect('END'), 'end');
$reverse->write(frame('DONE') . frame('END'));
ok($entry->expect('DONE') && $entry->expect('END'), 'end of the answer');
$entry->send('DONE');
ok($entry->expect('DRAIN'), 'entry is drained');
ok($reverse->expect('DONE') && $reverse->expect('DRAIN'), 'reverse as well');

# the worker goes when its agents have gone, or after a while without them

$entry->close();
isnt($reverse->wait_end(), 'timeout', 'a reverse that does not go');
ok(wait_for(sub { !kill 0, $old }), 'the old worker has gone');
is(count_log($relay, qr/\[(?:warn|error|crit)\]/), 0, 'no errors');

# an agent that exits asks the relay to close

my $leaving = agent('reverse');
$leaving->send('DRAIN');
isnt($leaving->wait_end(), 'timeout', 'closed for a reverse that drains');

my $waiting = agent('entry');
$waiting->send('OPEN', open_payload(port => 80));
$leaving = agent('reverse');
ok($leaving->expect('OPEN'), 'a stream');
$leaving->write(frame('DRAIN') . frame('ACCEPT') . frame('END'));
ok($waiting->expect('ACCEPT') && $waiting->expect('END'), 'ends well');


sub agent {
    my ($role, $group) = @_;
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $agent->login(key => "$dir/any",
        role => $role, group => defined $group ? $group : '0');

    die "no tunnel\n" if !$ready || $ready->{type} ne 'READY';
    return $agent;
}


sub open_stream {
    my ($entry, $reverse) = @_;

    $entry->send('OPEN', open_payload(port => 80));
    ok($reverse->expect('OPEN'), 'open');
    $reverse->send('ACCEPT');
    ok($entry->expect('ACCEPT'), 'accepted');
}


sub refused {
    my ($agent, $name) = @_;
    my $refuse = $agent->expect('REFUSE') || {};

    is($refuse->{code}, 'draining', $name);
    is($refuse->{retry}, 1, 'retryable');
}
