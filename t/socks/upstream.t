#!/usr/bin/perl

# Tests for SOCKS5 servers whose upstream cannot carry their connections: the
# client gets a reply, the upstream nothing.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_map /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $status $trp_status $trp_destination";
    access_log %%TESTDIR%%/access.log socks;

    upstream plain {
        server 127.0.0.1:%%PORT_8090%%;
    }

    map $trp_destination_port $upstream {
        default plain;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass plain;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_pass 127.0.0.1:%%PORT_8090%%;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        proxy_pass $upstream;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        proxy_pass 127.0.0.1:%%PORT_8099%%;
    }
}

EOC

serve($t, port(8090), 'hello', data => 'hello', record => 'hello.log');
$t->run()->plan(4 * 5 + 1);

for my $port (map { port($_) } 8080 .. 8083) {
    my $c = socks($port, '127.0.0.1:80', once => 1, data => 'early');

    is($c->rep() . " $c->{end}", '1 eof', "$port: CONNECT");
    is(socks_udp($port)->rep() . '', '1', "$port: UDP ASSOCIATE");
    is(socks($port, '127.0.0.1:80', command => 2)->rep(), 7, "$port: BIND");

    ok(wait_log($t, qr/^$port 50\d \S+ 127\.0\.0\.1:80$/,
        file => 'access.log'), "$port: access log");
    ok(wait_log($t, qr/\[error\].* "proxy_pass" of a server with "trp_socks5" /
        . qr/needs an upstream with .*server: 127\.0\.0\.1:$port/)
        || $port == port(8083), "$port: a line");
}

is(count_log($t, qr/^[1-9]/, file => 'hello.log'), 0,
    'the upstream has got nothing');
