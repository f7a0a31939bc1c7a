#!/usr/bin/perl

# An agent on QUIC: one handshake serves all tunnels of a pool; what is wrong
# with the relay is said in one line, and the agent comes back when the relay
# does.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $agents = Test::Nginx->new();

quic_relay_conf($relay);

$agents->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:%%PORT_8443_UDP%%;

        trp_entry;
        trp_entry_key entry;
        trp_entry_quic on;
        trp_entry_pool idle=3;
        trp_entry_heartbeat 1s;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream none {
        server 127.0.0.1:%%PORT_8445_UDP%%;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    trp_reverse_key reverse;
    trp_reverse_quic on;
    trp_reverse_heartbeat 1s;

    server {
        trp_reverse relay;
        trp_reverse_pool idle=5;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_name distrusts;
        trp_reverse_ssl_trusted_certificate other.crt;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse none;
        trp_reverse_name lonely;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($agents);
$agents->write_file('other.crt', $agents->read_file('localhost.crt'));
trp_cert($relay, $agents);
$relay->write_file('authorized_keys', join "\n",
    trp_keys($agents, 'entry'), trp_keys($agents, 'reverse'));

serve($agents, port(8090), 'echo');

$relay->run();
$agents->run()->plan(8 + 2);

# tunnels

ok(wait_for(sub { ready() >= 8 }), 'tunnels of two pools');
is(transfer(connect_to(port(8080)), 100_000)->{end}, 'eof', 'a user');

is(count_log($agents, qr/TLS session resumed/), 0, 'one handshake for all');

# errors

ok(wait_for(sub {
    count_log($agents, qr/certificate verify error.*name: "distrusts"/)
}), 'certificate of the relay is not trusted');

ok(wait_for(sub {
    count_log($agents, qr/cannot be reached.*name: "lonely"|refused.*"lonely"/)
}), 'nothing listens');

# the relay comes back

$relay->todo_alerts();
kill 'KILL', worker_pids($relay);

my $before = ready();

ok(wait_for(sub { ready() > $before }, 60),
    'tunnels after the death of the relay\'s worker');
ok(wait_for(sub {
    my $s = connect_to(port(8080)) or return 0;
    return transfer($s, 1000)->{end} eq 'eof';
}), 'a user after that');

is(count_log($agents, qr/\[(?:alert|emerg|crit)\]/), 0, 'no alerts');


sub ready {
    return count_log($agents, qr/tunnel is ready/);
}
