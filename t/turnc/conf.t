#!/usr/bin/perl

# Tests for configurations of the TURN client that stop "nginx -t" with a
# sentence.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $user = 'trp_turn_client_user alice:secret;';
my $trust = 'trp_turn_client_ssl_trusted_certificate localhost.crt;';

# what is right in place of "trp_turn_client;"

my @good = (
    "trp_turn_client; $user",
    "trp_turn_client udp; $user",
    "trp_turn_client tcp; trp_turn_client_user alice:with:colons;",
    "trp_turn_client tls; $user $trust",
    "trp_turn_client tls; $user trp_turn_client_ssl_verify off;",
    'trp_turn_client; trp_turn_client_secret north;',
    'trp_turn_client; trp_turn_client_secret north alice;',
    "trp_turn_client; $user trp_turn_client_allocations 1;",
    "trp_turn_client; $user trp_turn_client_connect_timeout 1s;",
    "least_conn; trp_turn_client; $user",
    "trp_turn_client tls; $user $trust"
        . ' trp_turn_client_ssl_verify_depth 2;'
        . ' trp_turn_client_ssl_name turn.example.org;'
        . ' trp_turn_client_ssl_server_name off;'
        . ' trp_turn_client_ssl_session_reuse off;'
        . ' trp_turn_client_ssl_protocols TLSv1.3;'
        . ' trp_turn_client_ssl_ciphers HIGH;'
        . ' trp_turn_client_ssl_certificate localhost.crt;'
        . ' trp_turn_client_ssl_certificate_key localhost.key;'
        . ' trp_turn_client_ssl_password_file passwords;'
        . ' trp_turn_client_ssl_conf_command Options PrioritizeChaCha;',
    "trp_turn_client tcp; $user trp_turn_client_proxy http://127.0.0.1:3128;",
    "trp_turn_client tls; $user $trust"
        . ' trp_turn_client_proxy https://alice@proxy.example;'
        . ' trp_turn_client_proxy_password_file passwords;'
        . ' trp_turn_client_proxy_ssl_verify on;'
        . ' trp_turn_client_proxy_ssl_verify_depth 2;'
        . ' trp_turn_client_proxy_ssl_name proxy.example.org;'
        . ' trp_turn_client_proxy_ssl_server_name off;'
        . ' trp_turn_client_proxy_ssl_session_reuse off;'
        . ' trp_turn_client_proxy_ssl_protocols TLSv1.3;'
        . ' trp_turn_client_proxy_ssl_ciphers HIGH;'
        . ' trp_turn_client_proxy_ssl_trusted_certificate localhost.crt;'
        . ' trp_turn_client_proxy_ssl_crl ca.crl;'
        . ' trp_turn_client_proxy_ssl_certificate localhost.crt;'
        . ' trp_turn_client_proxy_ssl_certificate_key localhost.key;'
        . ' trp_turn_client_proxy_ssl_password_file passwords;'
        . ' trp_turn_client_proxy_ssl_conf_command Options PrioritizeChaCha;',
);

# what is wrong, and the message

my @bad = (
    [ 'trp_turn_client;', qr/no "trp_turn_client_user" and no/ ],
    [ "trp_turn_client sctp; $user", qr/"udp", "tcp" or "tls"/ ],
    [ "trp_turn_client; $user trp_turn_client_proxy socks5://127.0.0.1;",
        qr/cannot be used with "trp_turn_client udp".*"trp_turn_client tls"/ ],
    [ "trp_turn_client tcp; $user trp_turn_client_proxy https://127.0.0.1;",
        qr/"trp_turn_client_proxy_ssl_trusted_certificate" is defined/ ],
    [ "trp_turn_client tcp; $user trp_turn_client_proxy http://a\@[::1]:1;",
        qr/no password for user "a" in "trp_turn_client_proxy", write/ ],
    [ "trp_turn_client; trp_turn_client; $user", qr/duplicate/ ],
    [ 'trp_turn_client; trp_turn_client_user alice;', qr/NAME:PASSWORD/ ],
    [ 'trp_turn_client; trp_turn_client_user :x;', qr/NAME:PASSWORD/ ],
    [ 'trp_turn_client; trp_turn_client_secret "";', qr/must not be empty/ ],
    [ "trp_turn_client; $user trp_turn_client_secret x;", qr/together/ ],
    [ "trp_turn_client; trp_turn_client_secret x; $user", qr/together/ ],
    [ "trp_turn_client tls; $user",
        qr/"trp_turn_client_ssl_trusted_certificate" is defined.*TURN server/ ],
    [ "trp_turn_client tls; $user trp_turn_client_ssl_crl none;"
        . " $trust", qr/none/ ],
    [ "trp_turn_client; $user trp_turn_client_allocations 0;", qr/between 1 and 1024/ ],
    [ "trp_turn_client; $user trp_turn_client_connect_timeout 0;",
        qr/between 1ms/ ],
    [ "trp_turn_client; $user least_conn;", qr/must come after|redefined/ ],
);

plan(tests => @good + @bad + 2);

trp_cert($t);
trp_ca($t, 'ca');
trp_crl($t, 'ca');
$t->write_file('passwords', "secret\n");

for my $line (@good) {
    like(conf($t, $line), qr/test is successful$/,
        'good: ' . substr($line, 0, 60));
}

for my $case (@bad) {
    my ($line, $message) = @$case;
    like(conf($t, $line), qr/\[emerg\] [^\n]*$message.*failed$/s,
        substr($line, 0, 60));
}


sub conf {
    my ($t, $line) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream turn {
        server 127.0.0.1:%%PORT_8478%%;
        $line
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass turn;
    }
}
EOC

    return nginx_test($t);
}
