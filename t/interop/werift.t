#!/usr/bin/perl

# Tests for STUN/TURN: WebRTC in node with werift, relayed candidates only.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebRTC;

my $missing = node_missing('werift');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->plan(10);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$protocol $trp_turn_username '
                    '$trp_turn_bytes_to_peers $trp_turn_bytes_from_peers';

    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:%%PORT_8980_UDP%% udp reuseport;
        listen 127.0.0.1:8981;
        listen 127.0.0.1:8982 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
    }
}

EOC

trp_cert($t);
$t->run();

my %url = (
    udp => 'turn:127.0.0.1:' . port(8980),
    tcp => 'turn:127.0.0.1:' . port(8981) . '?transport=tcp',
    tls => 'turns:localhost:' . port(8982),
);

# messages of this library have at most 64 KiB

my @all = ('201 messages, 270336 bytes') x 2;

for my $transport (qw/ udp tcp tls /) {
    my $result;

    # on a busy machine the ICE of this library fails now and then, with any
    # server

    for (1 .. 3) {
        $result = node_relay($t, 'werift', url => $url{$transport},
            username => 'user', password => 'password', large => 65536);
        last if $result->{state} ne 'disconnected';
    }

    is($result->{state}, 'complete', "$transport, state");
    is_deeply($result->{received}, \@all, "$transport, received");
    is_deeply([ grep { !/^relay .*relay$/ } @{$result->{pairs}} ], [],
        "$transport, candidates");
}

# this client ends with its allocations open

$t->stop();

my @lines = map { /^(\w+) user (\d+) (\d+)$/ && $2 >= 270336 && $3 >= 270336
    ? $1 : () } split /\n/, $t->read_file('turn.log');

is_deeply([ sort @lines ], [ ('TCP') x 4, ('UDP') x 2 ], 'access log');
