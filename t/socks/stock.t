#!/usr/bin/perl

# Tests for stock directives and parameters that are honoured in front of a TURN
# server and by SOCKS5, and by a relay that listens on a unix socket.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$server_port $trp_status $status $session_time";
    access_log %%TESTDIR%%/access.log trp;

    limit_conn_zone $remote_addr zone=addr:1m;

    proxy_half_close on;

    server {
        listen 127.0.0.1:8478;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.1;
        trp_turn_tcp_allocations on;
    }

    server {
        listen 127.0.0.1:8479;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        deny all;
    }

    upstream turn {
        server 127.0.0.1:8478 max_conns=1;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    upstream free {
        server 127.0.0.1:8478;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    upstream denied {
        server 127.0.0.1:8479;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass turn;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        trp_socks5_udp off;
        proxy_pass free;
        proxy_socket_keepalive on;
        proxy_download_rate 1k;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        trp_socks5_udp off;
        proxy_pass free;
        proxy_protocol on;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        proxy_pass denied;
    }

    server {
        listen unix:%%TESTDIR%%/relay.sock ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream entry {
        server unix:%%TESTDIR%%/relay.sock;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_name localhost;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8084;
        trp_socks5;
        proxy_pass entry;
        proxy_connect_timeout 1s;
    }

    upstream relay {
        server unix:%%TESTDIR%%/relay.sock;
    }

    # what is stock at a reverse

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_name localhost;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
        proxy_bind 127.0.0.3;
        proxy_protocol on;
        limit_conn addr 2;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys',
    join "\n", trp_keys($t, 'entry', 'reverse'), '');

serve($t, port(8090), 'echo');
serve($t, port(8091), 'send', data => 'x' x 3000);
my $full = full_listener(port(8092));

$t->run()->plan(15);

my ($echo, $send, $silent) = map { '127.0.0.1:' . port($_) } 8090 .. 8092;

# max_conns of a TURN server

my $c = socks(port(8080), $echo);
is($c->rep(), 0, 'max_conns');
is(socks(port(8080), $echo)->rep(), 1, 'max_conns: one too many');
$c->close();
ok(wait_log($t, qr/^${\port(8080)} \S+ 200 /, file => 'access.log'),
    'max_conns: has ended');
$c = socks(port(8080), $echo);
is($c->rep(), 0, 'max_conns: free again');
$c->close();

# keepalive: the timer that the kernel shows, or none

$c = socks(port(8081), $echo);
is($c->echo('hello'), 'hello', 'proxy_socket_keepalive');
is(keepalive(port(8478)), 1, 'proxy_socket_keepalive: data connection');
$c->close();

# a rate, and the PROXY protocol

$c = socks(port(8081), $send);
shutdown $c->socket(), 1;
is((drain($c->socket()))[0], 3000, 'proxy_download_rate');
$c->close();
ok(wait_log($t, qr/^${\port(8081)} \S+ 200 [1-9]/, file => 'access.log'),
    'proxy_download_rate: takes its time');

$c = socks(port(8082), $echo);
like($c->echo('hello' x 20), qr/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 /,
    'proxy_protocol');
$c->close();

# rules of a TURN server without UDP

is(socks(port(8083), $echo)->rep(), 1, 'TURN: deny');
ok(wait_log($t, qr/access forbidden by rule.*:${\port(8479)}/),
    'TURN: deny: line');

# a relay's unix socket, and the reverse's own directives

$c = socks(port(8084), $echo);
like($c->echo('hello' x 20), qr/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 /,
    'unix: and proxy_protocol of the reverse');
my $second = socks(port(8084), $echo);
is($second->rep(), 0, 'limit_conn of the reverse');
isnt(socks(port(8084), $echo)->rep(), 0,
    'limit_conn of the reverse: one too many');
$_->close() for $c, $second;

is(socks(port(8084), $silent)->rep(), 6, 'proxy_connect_timeout: reply 6');


# established connections to a port that have a keepalive timer

sub keepalive {
    my ($port) = @_;
    my $hex = sprintf '%04X', $port;

    open my $fh, '<', '/proc/net/tcp' or return;
    return scalar grep {
        /^ *\d+: \S+ [0-9A-F]{8}:$hex 01 \S+ 02:/ } <$fh>;
}
