#!/usr/bin/perl

# Tests for "trp_entry_unavailable reset" with groups on first use: it is about
# the user's group, and others are served; a relay that is back serves them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);
reverse_conf($reverse, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_group $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    map $server_port $group {
        %%PORT_8080%%  0;
        default        nobody;
    }

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_group $group;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
        trp_entry_unavailable reset;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

# no relay

$entry->run()->plan(8 + 2 * 2);

is(end_of(connect_to(port(8080)), 10), 'reset', 'no relay');
is(end_of(connect_to(port(8081)), 10), 'reset', 'no relay, another group');

# a relay, and a reverse of one group

$relay->run();
$reverse->run();

ok(wait_for(sub { visit(port(8080), timeout => 10) }), 'served');
ok(wait_for(sub { end_of(connect_to(port(8081)), 1) eq 'reset' }),
    'the other group has nobody');
ok(visit(port(8080)), 'still served');
ok(wait_log($entry, qr/^nobody no agent$/, file => 'access.log'), 'status');

# the relay has gone

$relay->stop();

ok(wait_for(sub { end_of(connect_to(port(8080)), 1) eq 'reset' }),
    'the relay has gone');

$relay->run();

ok(wait_for(sub { visit(port(8080), timeout => 10) }), 'it is back');
