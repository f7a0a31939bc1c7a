#!/usr/bin/perl

# Tests for agents whose tunnels go through coturn: a reverse by TCP, an entry
# by TLS; data one way at a time, ends and resets, and coturn that goes and
# comes back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /)
    ->has_daemon('turnserver');
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

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

        trp_entry_turn tls 127.0.0.1:8328;
        trp_entry_turn_user alice:secret;
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

        trp_reverse_turn tcp 127.0.0.1:8327;
        trp_reverse_turn_user alice:secret;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
coturn($relay, 8327, 8328) or die "no coturn\n";
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve($reverse, port(8091), 'half', data => noise(1_000_000),
    record => 'half.log');
serve($reverse, port(8092), 'reset', after => 1_000_000);

$_->run() for $relay, $reverse, $entry;
$relay->plan(13 + 2 * 2);

ok(visit(port(8080), bytes => 10_000), 'there and back');
is(join(' ', map { visit(port(8080)) } 1 .. 10), join(' ', (1) x 10), 'ten');

my @many = map { connect_to(port(8080)) } 1 .. 10;
my @results = map { transfer($_, 10_000) } @many;
is(grep({ $_->{received_sha} eq $_->{sent_sha} && $_->{end} eq 'eof' }
    @results), 10, 'ten at a time');

# the ends of users are messages in the tunnel, coturn does not see them

my $s = connect_to(port(8081));
is(join(' ', (drain($s))[0, 2]), '1000000 eof', 'a megabyte from there');
syswrite $s, 'SEE';
shutdown $s, 1;
ok(wait_log($reverse, qr/^3 .* eof$/, file => 'half.log'), 'half-close');

$s = connect_to(port(8082));
is(fill($s, 1_000_000), 1_000_000, 'a megabyte to there');
is(end_of($s), 'reset', 'reset of the service');

# coturn goes, and comes back

$s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'one who stays');

my @ready = map { count_log($_, qr/tunnel is ready/) } $entry, $reverse;
kill 'KILL', $relay->read_file('coturn.pid') =~ /(\d+)/;

is(end_of($s), 'reset', 'until coturn goes');
ok(!visit(port(8080), timeout => 1), 'no way without it');

coturn($relay, 8327, 8328) or die "no coturn\n";

ok(wait_log($_->[0], qr/tunnel is ready/, count => $_->[1] + 2),
    'tunnels are back') for [ $entry, $ready[0] ], [ $reverse, $ready[1] ];
ok(wait_for(sub { visit(port(8080), bytes => 10_000) }), 'and a user');
