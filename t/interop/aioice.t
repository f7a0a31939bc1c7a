#!/usr/bin/perl

# Tests for the TURN server with aioice: two agents that may use relayed candidates
# only.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Interop;

my $missing = interop_missing('aioice');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->plan(5);

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

    log_format turn '$protocol $trp_turn_username $trp_turn_end '
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
        trp_turn_ports 26000-31999;
    }
}

EOC

trp_cert($t);
$t->run();

# "localhost" has the certificate

local $ENV{SSL_CERT_FILE} = $t->testdir() . '/localhost.crt';

my %server = (udp => [ '127.0.0.1', port(8980, udp => 1) ],
    tcp => [ '127.0.0.1', port(8981) ], tls => [ 'localhost', port(8982) ]);

for my $transport (qw/ udp tcp tls /) {
    is_deeply([ interop('aioice', $transport, @{$server{$transport}},
        qw/ user password /) ],
        [ ('candidates relay') x 2, ('messages 50') x 2 ], $transport);
}

like((interop('aioice', 'udp', @{$server{udp}}, qw/ user guess /))[-1],
    qr/^error: /, 'wrong password');

$t->stop();

my @log = split /\n/, $t->read_file('turn.log');
cmp_ok(grep({ /^(?:UDP|TCP) user deleted [1-9]\d* [1-9]/ } @log), '>=', 6,
    'access log');
