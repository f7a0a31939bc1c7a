#!/usr/bin/perl

# Tests for proxychains4 with SOCKS5 over a tunnel: one proxy, one with a
# password, and one behind another.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;

my $t = Test::Nginx->new()->has(qw/ http stream stream_ssl /)
    ->has_daemon('proxychains4')->has_daemon('curl');

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

    log_format socks '$server_port $trp_destination $trp_status';
    access_log off;

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass relay;
        access_log %%TESTDIR%%/socks.log socks;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        trp_socks5_user alice:secret;
        proxy_pass relay;
        access_log %%TESTDIR%%/socks.log socks;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        resolver 127.0.0.1:%%PORT_8982_UDP%%;
        trp_reverse_allow 127.0.0.0/8 web.example;

        proxy_pass $trp_destination;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8090;

        location / {
            return 200 "$host$request_uri\n";
        }

        location /file {
            alias %%TESTDIR%%/file;
        }
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry'),
    trp_keys($t, 'reverse'));

name_server($t, port(8982, udp => 1), 'web.example' => '127.0.0.1');

$t->write_file('file', noise(1_000_000));
$t->run()->plan(9);

my ($open, $closed, $web) = (port(8080), port(8081), port(8090));

my @one = proxychains($t, "socks5 127.0.0.1 $open");
my @user = proxychains($t, "socks5 127.0.0.1 $closed alice secret");
my @wrong = proxychains($t, "socks5 127.0.0.1 $closed alice guess");
my @two = proxychains($t, "socks5 127.0.0.1 $open",
    "socks5 127.0.0.1 $closed alice secret");

is(curl(@one, "http://127.0.0.1:$web/a"), "127.0.0.1/a\n", 'address');
is(curl(@one, "http://web.example:$web/b"), "web.example/b\n", 'name');
ok(wait_log($t, qr/^$open web\.example:$web ok$/, file => 'socks.log'),
    'the name has come here');
ok(curl(@one, "http://web.example:$web/file") eq noise(1_000_000), 'file');

is(curl(@user, "http://web.example:$web/c"), "web.example/c\n", 'password');
is(curl(@wrong, "http://web.example:$web/d"), '', 'wrong password');
is(curl(@one, 'http://127.0.0.1:' . port(8099) . '/'), '', 'refused');

# each is a connection on the tunnel

is(curl(@two, "http://web.example:$web/e"), "web.example/e\n",
    'a proxy behind the other');
ok(wait_log($t, qr/^$open 127\.0\.0\.1:$closed ok$/, file => 'socks.log'),
    'by the first one');


# curl that knows nothing of proxies

sub curl {
    return output(@_[0 .. $#_ - 1], qw/ curl -s --noproxy * /, $_[-1]);
}
