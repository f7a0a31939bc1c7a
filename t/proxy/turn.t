#!/usr/bin/perl

# TURN servers behind proxies: of a reverse by TCP, whose name only the proxy
# knows; of an entry by TLS in TLS; and of the TURN client.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::Proxies;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $turn = Test::Nginx->new();
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);
turn_conf($turn);

my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
EOC

$entry->write_file_expand('nginx.conf', $head . <<'EOC');

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2 max=20;
        trp_entry_ssl_trusted_certificate localhost.crt;

        trp_entry_turn tls 127.0.0.1:8479;
        trp_entry_turn_user alice:secret;
        trp_entry_turn_ssl_name localhost;
        trp_entry_turn_ssl_trusted_certificate localhost.crt;

        trp_entry_proxy https://127.0.0.1:8129;
        trp_entry_proxy_ssl_name localhost;
        trp_entry_proxy_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8129 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        proxy_pass 127.0.0.1:8128;
    }

    # SOCKS5, TURN by TCP, TURN by TLS

    upstream tcp {
        server turn.example:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
        trp_turn_client_proxy http://127.0.0.1:8128;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_half_close on;
        proxy_pass tcp;
    }

    upstream tls {
        server 127.0.0.1:8479;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_ssl_name localhost;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
        trp_turn_client_proxy socks5://alice:secret@127.0.0.1:8130;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        proxy_half_close on;
        proxy_pass tls;
    }

    upstream nowhere {
        server 127.0.0.1:8479;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
        trp_turn_client_proxy socks5://alice:wrong@127.0.0.1:8130;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        proxy_pass nowhere;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', $head . <<'EOC');

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2 max=20;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        trp_reverse_turn tcp turn.example:%%PORT_8478%%;
        trp_reverse_turn_user alice:secret;

        trp_reverse_proxy http://127.0.0.1:8128;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $turn, $entry, $reverse);
$_->write_file('localhost.key', $relay->read_file('localhost.key'))
    for $turn, $entry;
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

squid($reverse, port(8128), hosts => '127.0.0.1 turn.example')
    and microsocks($reverse, port(8130), auth => 1)
    or plan(skip_all => 'no squid or microsocks');

serve($reverse, port(8090), 'echo');
$reverse->write_file('page', 'a page');
serve($reverse, port(8091), 'send', data => "HTTP/1.0 200 OK\r\n\r\na page");

$_->run() for $relay, $turn, $reverse, $entry;
$relay->plan(9 + 3 * 2);

ok(wait_log($_, qr/ tunnel is ready/, count => 2), 'tunnels')
    for $reverse, $entry;

ok(visit(port(8080), bytes => 300_000), 'a user');
is(join(' ', map { visit(port(8080)) } 1 .. 10), join(' ', (1) x 10), 'ten');

my $url = 'http://127.0.0.1:' . port(8091) . '/';

is(output('curl', '-s', '-x', 'socks5://127.0.0.1:' . port($_), $url),
    'a page', "TURN client, $_") for 8081, 8082;

is(output('curl', '-s', '-m', 10, '-x', 'socks5://127.0.0.1:' . port(8083),
    $url), '', 'the proxy does not want it');
ok(wait_log($entry, qr/\[error\].* proxy 127\.0\.0\.1:\d+ does not accept user/),
    'and it says so');

like($turn->read_file('error.log'), qr/127\.0\.0\.1/, 'TURN server was used');
