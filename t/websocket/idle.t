#!/usr/bin/perl

# A web server that cuts WebSockets that are quiet: pings keep them, those of
# tunnels between users' connections and those of WebSockets during one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebSocket;

my $relay = Test::Nginx->new()->has(qw/ http proxy stream stream_ssl /)
    ->plan(6 + 4);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    error_log %%TESTDIR%%/error.log info;
    access_log %%TESTDIR%%/http.log;

    server {
        listen 127.0.0.1:8081;

        location / {
            proxy_pass http://127.0.0.1:8443;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout 2s;
        }
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_relay_websocket on;
        trp_relay_heartbeat 1h;
        trp_authorized_keys authorized_keys;
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
        server localhost:%%PORT_8443%%;

        trp_entry;
        trp_entry_key entry;
        trp_entry_heartbeat 500ms;
        trp_entry_websocket ws://127.0.0.1:%%PORT_8081%%;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
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
        server localhost:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_heartbeat 500ms;
        trp_reverse_websocket ws://127.0.0.1:%%PORT_8081%%;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys',
    trp_keys($entry, 'entry') . "\n" . trp_keys($reverse, 'reverse'));

serve($relay, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run();

my $s = stream('127.0.0.1:' . port(8082));
$s->write('before');
is($s->read(length => 6), 'before', 'before');

# a connection that nobody pings is cut: this is how long it takes

for (1, 2) {
    my ($quiet) = websocket_open(port(8081));
    is(end_of($quiet), 'eof', 'a quiet one is cut');
}

$s->write('after');
is($s->read(length => 5), 'after', 'after');

for my $agent ($entry, $reverse) {
    is(count_log($agent, qr/closed tunnel|\[(?:error|warn)\]/), 0,
        'no tunnel is lost');
}
