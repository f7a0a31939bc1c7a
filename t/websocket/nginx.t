#!/usr/bin/perl

# Agents that reach their relay by WebSockets, through nginx: as a web server
# with TLS at the relay's address, and at another one, with and without TLS.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ http http_ssl proxy stream stream_ssl
    stream_realip /)->plan(16 + 4);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    error_log %%TESTDIR%%/error.log info;
    access_log %%TESTDIR%%/http.log;

    server {
        listen 127.0.0.1:8081;
        listen 127.0.0.1:8444 ssl;
        ssl_certificate web.crt;
        ssl_certificate_key web.key;

        location /trp {
            proxy_pass http://127.0.0.1:8443;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header X-Forwarded-For 127.0.0.7;
        }

        location /none {
            return 404;
        }

        location /plain {
            proxy_pass http://127.0.0.1:8443;
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

        set_real_ip_from 127.0.0.1;

        trp_relay;
        trp_relay_websocket on;
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

    proxy_half_close on;

    trp_entry_key entry;
    trp_entry_ssl_trusted_certificate localhost.crt;
    trp_entry_websocket_ssl_trusted_certificate ca.crt;

    upstream path {
        server localhost:%%PORT_8444%%;
        trp_entry;
        trp_entry_websocket /trp;
        trp_entry_ssl_name localhost;
    }

    upstream wss {
        server localhost:%%PORT_8443%%;
        trp_entry;
        trp_entry_websocket wss://127.0.0.1:%%PORT_8444%%/trp/a?b;
        trp_entry_websocket_ssl_name localhost;
    }

    upstream ws {
        server localhost:%%PORT_8443%%;
        trp_entry;
        trp_entry_websocket ws://localhost:%%PORT_8081%%/trp;
    }

    upstream nowhere {
        server nowhere.invalid:%%PORT_8443%%;
        trp_entry;
        trp_entry_ssl_name localhost;
        trp_entry_websocket ws://localhost:%%PORT_8081%%/trp;
    }

    upstream plain {
        server localhost:%%PORT_8443%%;
        trp_entry;
        trp_entry_websocket ws://localhost:%%PORT_8081%%/plain;
    }

    upstream none {
        server localhost:%%PORT_8443%%;
        trp_entry;
        trp_entry_websocket ws://localhost:%%PORT_8081%%/none;
    }

    upstream untrusted {
        server localhost:%%PORT_8443%%;
        trp_entry;
        trp_entry_websocket wss://localhost:%%PORT_8444%%/trp;
        trp_entry_websocket_ssl_trusted_certificate localhost.crt;
    }

    upstream direct {
        server localhost:%%PORT_8443%%;
        trp_entry;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass path;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass wss;
    }

    server {
        trp_route %%PORT_8084%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass ws;
    }

    server {
        trp_route %%PORT_8089%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass nowhere;
    }

    server {
        trp_route %%PORT_8085%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass direct;
    }

    server {
        trp_route %%PORT_8086%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass plain;
    }

    server {
        trp_route %%PORT_8087%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass none;
    }

    server {
        trp_route %%PORT_8088%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass untrusted;
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
        server localhost:%%PORT_8444%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_websocket /trp;
        trp_reverse_websocket_ssl_trusted_certificate ca.crt;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_half_close on;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
trp_ca($relay, 'ca');
trp_issue($relay, 'ca', 'web', names => 'DNS:localhost');

for my $agent ($entry, $reverse) {
    $agent->write_file('ca.crt', $relay->read_file('ca.crt'));
}

$relay->write_file('authorized_keys',
    trp_keys($entry, 'entry') . "\n" . trp_keys($reverse, 'reverse'));

serve($relay, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run();

for my $case ([ 8082, '/path' ], [ 8083, 'wss' ], [ 8084, 'ws' ],
    [ 8085, 'direct' ], [ 8089, 'relay without an address' ])
{
    my ($port, $name) = @$case;

    ok(visit(port($port)), "$name: a few bytes");
    ok(visit(port($port), bytes => 10_000_000), "$name: many");
}

# ways that do not lead there

my $answered = qr/\[error\].* web server answered/;

ok(wait_log($entry, qr/$answered "\/plain" with status 505, in place of 101: /),
    'no upgrade');
ok(wait_log($entry, qr/$answered "\/none" with status 404, .*path right\? /),
    'no such location');
ok(wait_log($entry, qr/\[error\].* web server SSL certificate verify error/),
    'certificate of another web server');

# the address of the agents, and who listens in

ok(wait_log($relay, qr/a tunnel in group "0".* client: 127\.0\.0\.7,/),
    'address of an agent');
is(count_log($relay, qr/\[(?:warn|error|crit|alert)\]/), 0, 'no errors');

ok(wait_log($relay, qr!"GET /trp/a\?b HTTP/1\.1" 101 !, file => 'http.log'),
    'path and query') if $reverse->stop() && $entry->stop();
