#!/usr/bin/perl

# Tests for names that end in a dot, the one of the root: they are the same
# without it in routes, rules, SOCKS5 requests, and certificates.

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

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp $trp_destination;

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream entry {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_name localhost.;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:localhost.:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass entry;
        access_log %%TESTDIR%%/access.log trp;
    }

    server {
        trp_route %%PORT_8081%%:other.localhost.:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass entry;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        trp_socks5_allow localhost.:%%PORT_8090%%;
        proxy_pass entry;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        trp_socks5_deny localhost.:%%PORT_8090%%;
        proxy_pass entry;
    }

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_name localhost.;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow localhost.:%%PORT_8090%%;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($t);

my ($entry, $reverse) = trp_keys($t, 'entry', 'reverse');
my $open = 'permitopen="localhost.:*,other.localhost.:*"';
$t->write_file('authorized_keys', "$open $entry\n$reverse\n");

serve($t, port(8090), 'hello');

$t->run()->plan(7);

my $s = connect_to(port(8080));
is(<$s>, "hello\n", 'route');
close $s;

ok(wait_log($t, qr/^localhost:\d+$/, file => 'access.log'), 'destination');

is(end_of(connect_to(port(8081))), 'reset', 'another name');

my $port = port(8090);

is(socks(port(8082), "localhost.:$port")->rep(), 0, 'SOCKS5: allowed');
is(socks(port(8082), "localhost:$port")->rep(), 0, 'SOCKS5: without the dot');
is(socks(port(8083), "localhost.:$port")->rep(), 2, 'SOCKS5: denied');
is(socks(port(8083), "localhost:$port")->rep(), 2,
    'SOCKS5: denied without the dot');
