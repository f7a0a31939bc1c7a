#!/usr/bin/perl

# Tests for a configuration that has every directive once.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    server {
        listen 127.0.0.1:8091;

        location /trp/ {
            trp_status;
        }
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_destination $trp_destination_host "
        "$trp_destination_port $trp_group $trp_name $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    trp_relay_zone agents 2m inactive=1h;

    server {
        listen 127.0.0.1:8080 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate relay.crt;
        ssl_certificate_key relay.key;
        ssl_verify_client on;
        ssl_client_certificate ca.crt;

        trp_relay;
        trp_authorized_keys authorized_keys;
        trp_relay_auth_timeout 10s;
        trp_relay_next_timeout 3s;
        trp_relay_open_timeout 15s;
        trp_relay_heartbeat 20s;
        trp_relay_websocket on;
        trp_relay_max_unauthenticated 500;
        trp_relay_max_per_address 100;
        trp_relay_limit_key tunnels=100 streams=100 opens=100r/s publish=10;
        trp_relay_limit_group tunnels=200 streams=200 opens=200r/s;
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

    log_format trp "$trp_destination $trp_destination_host "
        "$trp_destination_port $trp_group $trp_name $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    upstream relay {
        least_conn;
        server 127.0.0.1:8080;

        trp_entry;
        trp_entry_key entry;
        trp_entry_group office;
        trp_entry_groups max=10 inactive=1h;
        trp_entry_name near.users;
        trp_entry_pool idle=2 max=8;
        trp_entry_connect_timeout 10s;
        trp_entry_open_timeout 20s;
        trp_entry_resolve ipv6=off;
        trp_entry_unavailable reset;
        trp_entry_next_timeout 3s;
        trp_entry_heartbeat 15s;
        trp_entry_ways direct probe=1m hold=20s;
        trp_entry_quic off;

        trp_entry_ssl_verify on;
        trp_entry_ssl_verify_depth 2;
        trp_entry_ssl_name relay.example;
        trp_entry_ssl_server_name on;
        trp_entry_ssl_session_reuse on;
        trp_entry_ssl_protocols TLSv1.2 TLSv1.3;
        trp_entry_ssl_ciphers HIGH;
        trp_entry_ssl_trusted_certificate ca.crt;
        trp_entry_ssl_crl ca.crl;
        trp_entry_ssl_certificate agent.crt;
        trp_entry_ssl_certificate_key agent.key;
        trp_entry_ssl_password_file password;
        trp_entry_ssl_conf_command Options PrioritizeChaCha;
        trp_entry_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
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

    log_format trp "$trp_destination $trp_destination_host "
        "$trp_destination_port $trp_group $trp_name $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8080;
    }

    trp_reverse_key reverse;
    trp_reverse_group wrong;
    trp_reverse_name wrong;
    trp_reverse_allow 192.0.2.0/24;

    server {
        trp_reverse relay;
        trp_reverse_group office;
        trp_reverse_name behind.nat;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%% 10.0.0.0/8:22;
        trp_reverse_publish 8090 127.0.0.1:8090;
        trp_reverse_pool idle=2 max=8;
        trp_reverse_connect_timeout 10s;
        trp_reverse_resolve ipv6=off;
        trp_reverse_destination $trp_destination;
        trp_reverse_heartbeat 15s;
        trp_reverse_ways direct;
        trp_reverse_quic off;

        trp_reverse_ssl_verify on;
        trp_reverse_ssl_verify_depth 2;
        trp_reverse_ssl_name relay.example;
        trp_reverse_ssl_server_name on;
        trp_reverse_ssl_session_reuse off;
        trp_reverse_weight 2;
        trp_reverse_backup off;
        trp_reverse_ssl_protocols TLSv1.2 TLSv1.3;
        trp_reverse_ssl_ciphers HIGH;
        trp_reverse_ssl_trusted_certificate ca.crt;
        trp_reverse_ssl_crl ca.crl;
        trp_reverse_ssl_certificate agent.crt;
        trp_reverse_ssl_certificate_key agent.key;
        trp_reverse_ssl_password_file password;
        trp_reverse_ssl_conf_command Options PrioritizeChaCha;

        proxy_pass $trp_destination;
    }
}

EOC

trp_ca($relay, 'ca');
trp_issue($relay, 'ca', 'relay', names => 'DNS:relay.example');
trp_issue($relay, 'ca', 'agent', password => 'secret');
trp_crl($relay, 'ca');

for my $agent ($entry, $reverse) {
    $agent->write_file($_, $relay->read_file($_))
        for qw/ ca.crt ca.crl agent.crt agent.key /;
    $agent->write_file('password', "wrong\nsecret\n");
}

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(11 + 4);

my $s = stream('127.0.0.1:' . port(8081));
is($s->io('SEE', length => 3), 'SEE', 'stream');
shutdown $s->socket(), 1;
is(end_of($s), 'eof', 'end');

my $variables = sprintf '127\.0\.0\.1:%d 127\.0\.0\.1 %1$d office', port(8090);

ok(wait_log($entry, qr/^$variables near\.users ok$/, file => 'access.log'),
    'variables at the entry');
ok(wait_log($relay, qr/^$variables near\.users ok$/, file => 'access.log'),
    'variables at the relay');
ok(wait_log($reverse, qr/^$variables behind\.nat ok$/, file => 'access.log'),
    'variables at the reverse');

my $ready = qr/\[info\].* tunnel is ready/;
ok(wait_log($entry, $ready, count => 3), 'entry has a pool');
ok(wait_log($reverse, $ready, count => 3), 'reverse has a pool');
ok(wait_log($entry, qr/$ready.* TLS session resumed/), 'entry resumes');
is(count_log($reverse, qr/$ready.* TLS session resumed/), 0,
    'reverse does not');
is(count_log($relay, qr/"near\.users" \(entry\) .* group "office"/),
    count_log($entry, $ready), 'names in the log of the relay');

# no directive is left out

SKIP: {
    my @modules = ($ENV{TEST_NGINX_GLOBALS} || '')
        =~ /load_module (\S+ngx_trp_\w+_module\.so);/g;
    skip 'modules are in the binary', 1 if !@modules;

    my $configs = join '', map { $_->read_file('nginx.conf') }
        $relay, $entry, $reverse;
    my %seen = map { $_ => 1 } $configs =~ /^ +(trp_\w+)[ ;]/mg;

    is(join(' ', grep { !$seen{$_} } map { directives($_) } @modules), '',
        'all directives');
}


# the strings that look like a directive; those of TURN have
# t/turnc/agent_conf.t, those of proxies t/proxy/conf.t, those of WebSockets
# t/websocket/conf.t

sub directives {
    my ($file) = @_;

    open my $fh, '<:raw', $file or die "can't open $file: $!\n";
    local $/;
    my %names = map { $_ => 1 } <$fh> =~ /\0(trp_(?:route|authorized_keys
        |(?:relay|entry|reverse)(?:_(?!turn|proxy|websocket)\w+)?))(?=\0)/gx;

    return sort keys %names;
}
