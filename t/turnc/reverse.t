#!/usr/bin/perl

# Tests for agents whose tunnels go through a TURN server of trp's: a reverse by
# TCP, an entry by TLS; data, ends and resets, and a TURN server that goes and
# comes back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $turn = Test::Nginx->new();
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$turn->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$protocol $trp_turn_username $trp_turn_peers '
                    '$trp_turn_bytes_to_peers $trp_turn_bytes_from_peers';

    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:8478;
        listen 127.0.0.1:8479 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 26000-31999;
        trp_turn_user alice:secret;
        trp_turn_secret north;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2 max=20;
        trp_entry_ssl_trusted_certificate localhost.crt;

        trp_entry_turn tls 127.0.0.1:8479;
        trp_entry_turn_secret north bob;
        trp_entry_turn_ssl_name localhost;
        trp_entry_turn_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

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
        trp_reverse_pool idle=2 max=20;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_turn tcp 127.0.0.1:8478;
        trp_reverse_turn_user alice:secret;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $turn, $entry, $reverse);
$turn->write_file('localhost.key', $relay->read_file('localhost.key'));
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve($reverse, port(8091), 'half', data => 'SEE THIS', record => 'half.log');
serve($reverse, port(8092), 'reset', after => 3);

$_->run() for $relay, $turn, $reverse, $entry;
$relay->plan(16 + 2 * 3);

ok(visit(port(8080), bytes => 1_000_000), 'a megabyte there and back');
is(join(' ', map { visit(port(8080)) } 1 .. 10), join(' ', (1) x 10), 'ten');

my @many = map { connect_to(port(8080)) } 1 .. 10;
my @results = map { transfer($_, 100_000) } @many;
is(grep({ $_->{received_sha} eq $_->{sent_sha} && $_->{end} eq 'eof' }
    @results), 10, 'ten at a time');

my $s = connect_to(port(8081));
is(join(' ', (drain($s))[0, 2]), '8 eof', 'half-close');
syswrite $s, 'SEE';
shutdown $s, 1;
ok(wait_log($reverse, qr/^3 .* eof$/, file => 'half.log'), 'and the other way');

$s = connect_to(port(8082));
syswrite $s, 'SEE';
is(end_of($s), 'reset', 'reset of the service');

$s = connect_to(port(8080));
transfer($s, 5, fin => 0);
abort($s);
ok(wait_log($reverse, qr/^5 .* reset$/, file => 'echo.log'),
    'reset of the user');

# the TURN server goes: its connections are reset, and new ones wait

$s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'one who stays');

my @ready = map { count_log($_, qr/tunnel is ready/) } $entry, $reverse;
$turn->stop();

is(end_of($s), 'reset', 'until the TURN server goes');
ok(!visit(port(8080), timeout => 1), 'no way without it');

$turn->run();

ok(wait_log($_->[0], qr/tunnel is ready/, count => $_->[1] + 2),
    'tunnels are back') for [ $entry, $ready[0] ], [ $reverse, $ready[1] ];
ok(wait_for(sub { visit(port(8080), bytes => 100_000) }), 'and a user');

# each tunnel is an allocation with one peer, the relay

$_->stop() for $entry, $reverse, $turn;

my @log = split /\n/, $turn->read_file('turn.log');
my $peer = '127\.0\.0\.1:' . port(8443);

cmp_ok(grep({ /^TCP alice $peer [1-9]\d* [1-9]/ } @log), '>=', 10,
    'allocations of the reverse');
cmp_ok(grep({ /^TCP \d+:bob $peer [1-9]\d* [1-9]/ } @log), '>=', 10,
    'allocations of the entry');
is(join("\n", grep { !/^TCP (?:alice|\d+:bob|-) (?:$peer|-) / } @log), '',
    'no others');
