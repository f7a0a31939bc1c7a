#!/usr/bin/perl

# Tests for WebSockets of node with SOCKS5 over a tunnel.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::WebRTC qw/ node_missing /;

for my $package (qw/ socks-proxy-agent ws /) {
    my $missing = node_missing($package);
    plan(skip_all => $missing) if $missing;
}

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
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
        trp_authorized_keys authorized_keys;
    }

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        trp_socks5_user alice:secret;
        proxy_pass relay;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry'),
    trp_keys($t, 'reverse'));

$t->run()->plan(3);

my $proxy = '127.0.0.1:' . port(8080);
my %good = (messages => 14, wrong => 0, bytes => 2262646, pong => 'there?',
    code => 4000, reason => 'enough');

is_deeply(websocket($t, "socks5://alice:secret\@$proxy", port(8090)), \%good,
    'messages');
is_deeply(websocket($t, "socks5h://alice:secret\@$proxy", port(8090)), \%good,
    'again');
like(websocket($t, "socks5://alice:guess\@$proxy", port(8090))->{error},
    qr/Authentication failed/i, 'wrong password');
