#!/usr/bin/perl

# A relay behind the PROXY protocol has one worker: connections cannot be
# handed to another one when the header was read.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/stream stream_ssl/)->plan(3);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));

for my $workers (1, 2) {

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes $workers;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:8080 ssl proxy_protocol;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

    my $message = $workers == 1 ? qr/test is successful/
        : qr/"trp_relay" in .*:21 cannot be used with "proxy_protocol"/;

    like(nginx_test($t), $message, "$workers workers");
}

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

EOC

$t->run();

ok(1, 'end');
