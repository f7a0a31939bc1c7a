#!/usr/bin/perl

# Tests for the TURN server with the client of webrtc-rs, over UDP.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Interop;

my $missing = interop_missing('webrtc-rs');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(6);

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

    log_format turn '$protocol $trp_turn_username $trp_turn_end';
    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:%%PORT_8980_UDP%% udp reuseport;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_ports 26000-31999;
    }
}

EOC

my $server = '127.0.0.1:' . port(8980, udp => 1);
my @peers = map { port($_, udp => 1) } 8990, 8991;

echo_udp($t, $_) for @peers;
$t->run();

my ($mapped, $relayed, @echoes) = client('password',
    map { "127.0.0.1:$_" } @peers);

like($mapped, qr/^mapped 127\.0\.0\.1:\d+$/, 'binding');
like($relayed, qr/^relayed 127\.0\.0\.1:(?:2[6-9]|3[01])\d{3}$/, 'allocation');
is_deeply(\@echoes, [ ('echoes 50') x 2 ], 'datagrams');

like((client('password', '192.168.0.1:9'))[-1], qr/^error: .*403/i,
    'denied peer');
like((client('guess', "127.0.0.1:$peers[0]"))[-1], qr/^error: /,
    'wrong password');

$t->stop();

my @log = split /\n/, $t->read_file('turn.log');
cmp_ok(grep({ $_ eq 'UDP user deleted' } @log), '>=', 1, 'access log');


sub client {
    my ($password, @peers) = @_;

    return interop('webrtc-rs', $server, 'user', $password, 'example.org',
        @peers);
}
