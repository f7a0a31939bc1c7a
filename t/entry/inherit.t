#!/usr/bin/perl

# Tests for settings of entries in stream {}: upstreams inherit them, whatever
# the order in the file, and override them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_group $trp_name $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    trp_entry_key common;

    upstream early {
        server 127.0.0.1:8433;
        trp_entry;
    }

    trp_entry_group office;
    trp_entry_name common.name;
    trp_entry_pool idle=2;
    trp_entry_unavailable reset;
    trp_entry_ssl_trusted_certificate localhost.crt;

    # no TURN server is there

    trp_entry_turn 127.0.0.1:%%PORT_8478%%;
    trp_entry_turn_user alice:secret;

    upstream direct {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_name direct.name;
        trp_entry_turn off;
        trp_entry_pool max=3;
    }

    upstream own {
        trp_entry_turn off;
        trp_entry_group other;
        trp_entry_name own.name;
        trp_entry_key own;
        trp_entry_unavailable wait;
        trp_entry_pool idle=1;
        trp_entry_ssl_trusted_certificate missing.crt;
        trp_entry_ssl_verify off;
        server 127.0.0.1:8433;
        trp_entry;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass early;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass direct;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass own;
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

    upstream relay {
        server 127.0.0.1:8433;
    }

    trp_reverse_key reverse;
    trp_reverse_group office;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    # inherited and cancelled, as by an entry

    trp_reverse_turn 127.0.0.1:%%PORT_8478%%;
    trp_reverse_turn_user alice:secret;

    server {
        trp_reverse relay;
        trp_reverse_turn off;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'common'),
    trp_keys($entry, 'own'), trp_keys($reverse, 'reverse'), '');

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(9 + 2 * 2);

ok(wait_log($relay, qr/ entry "direct.name" \(common\) has a tunnel in group /
    . qr/"office"/, count => 2), 'inherited: group, key, pool');
ok(wait_log($relay, qr/ entry "own.name" \(own\) has a tunnel in group /
    . qr/"other"/), 'overridden: group, key, verify');
ok(wait_log($relay, qr/ reverse .* has a tunnel in group "office"/),
    'a reverse without its TURN server');

ok(visit(port(8081)), 'served');
ok(wait_log($entry, qr/^office direct\.name ok$/, file => 'access.log'),
    'variables');

# what comes later in the file counts, too

my $turn = port(8478);
ok(wait_log($entry, qr/connect\(\) failed .* TURN server: 127\.0\.0\.1:$turn/),
    'inherited: TURN server');
is(end_of(connect_to(port(8080)), 10), 'reset', 'inherited: unavailable');
is(count_log($relay, qr/ entry "common.name" /), 0, 'not reached');

# the other has nobody either, but waits

is(end_of(connect_to(port(8082)), 1), 'timeout', 'overridden: unavailable');
