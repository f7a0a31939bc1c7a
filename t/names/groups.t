#!/usr/bin/perl

# Tests for groups on first use behind a relay with a name: it is resolved once
# for all groups, whose tunnels follow it, and those of later groups, too.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;

my $relays = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map udp /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

$relays->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        listen 127.0.0.2:%%PORT_8443%% ssl;

        ssl_certificate relay.crt;
        ssl_certificate_key relay.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
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

    trp_reverse_key reverse;
    trp_reverse_ssl_name relay.trp.test;
    trp_reverse_ssl_trusted_certificate ca.crt;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_group g8081;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group g8082;
        proxy_pass $trp_destination;
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

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s;

    log_format main "$trp_group $upstream_addr $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    proxy_half_close on;

    map $server_port $group {
        %%PORT_8081%%  g8081;
        %%PORT_8082%%  g8082;
    }

    upstream relay {
        server relay.trp.test:%%PORT_8443%%;
        trp_entry;
        trp_entry_group $group;
        trp_entry_groups inactive=1s;
        trp_entry_pool idle=1;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate ca.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

trp_ca($relays, 'ca');
trp_issue($relays, 'ca', 'relay', names => 'DNS:relay.trp.test');
$_->write_file('ca.crt', $relays->read_file('ca.crt')) for $entry, $reverse;
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

# the name is not known

dns($entry, port(8982, udp => 1), 'relay.trp.test' => 'trouble');

$_->run() for $relays, $reverse, $entry;
$entry->plan(15 + 2 * 2);

ok(wait_log($entry, qr/\[error\].* relay "relay\.trp\.test" could not be /),
    'no address');

my $descriptors = fd_count(worker_pids($entry));

# who comes now waits

my $user = connect_to(port(8081));

ok(wait_log($entry, qr/group "g8081" has a user, 1 of 100 groups /), 'a user');

dns_change($entry, 'relay.trp.test' => '127.0.0.1');

is(transfer($user, 1000, fin => 0)->{received}, 1000, 'who has waited');
ok(visit(port(8082)), 'another group');
ok(wait_log($entry, qr/^g8082 127\.0\.0\.1:\d+ 200 ok$/, file => 'access.log'),
    'by this address');
is(count_log($entry, qr/\[notice\].* relay "relay\.trp\.test" is at /), 1,
    'resolved once');

# the second group is given up, and the first one goes on to follow the name

ok(wait_log($entry, qr/group "g8082" of upstream .* is not used/), 'given up');

dns_change($entry, 'relay.trp.test' => '127.0.0.2');

ok(wait_log($entry, qr/ tunnel is ready.* relay: 127\.0\.0\.2:.*"g8081"/),
    'tunnels to the new address');
is(count_log($entry, qr/\[notice\].* relay 127\.0\.0\.1:\d+ has gone from the /),
    1, 'only of the group that is there');
is(transfer($user, 1000, fin => 0)->{received}, 1000, 'who has stayed goes on');

# the other one begins with the address that is known

ok(visit(port(8082)), 'another group, again');
ok(wait_log($entry, qr/^g8082 127\.0\.0\.2:\d+ 200 ok$/, file => 'access.log'),
    'by the new address');

close $user;

ok(wait_log($entry, qr/group "g8081" of upstream .* is not used/),
    'the first one is given up');
ok(wait_log($entry, qr/group "g8082" of upstream .* is not used/, count => 2),
    'the second one is, too');
ok(wait_for(sub { fd_count(worker_pids($entry)) == $descriptors }),
    'no tunnel is left');
