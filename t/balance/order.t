#!/usr/bin/perl

# Tests for the order of directives in an upstream: "trp_entry" wraps the load
# balancing method, and stands behind it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)
    ->has(qw/ stream_upstream_hash stream_upstream_least_conn /)
    ->has(qw/ stream_upstream_random stream_upstream_zone /);

trp_cert($t);
trp_keys($t, 'entry');

my @methods = (
    'least_conn;',
    'hash $remote_addr;',
    'hash $remote_addr consistent;',
    'random;',
    'random two least_conn;',
);

plan(tests => 2 * @methods + 3 + 2);

for my $method (@methods) {
    like(check($t, "$method\ntrp_entry;"), qr/test is successful/,
        "$method trp_entry;");
    like(check($t, "trp_entry;\n$method"),
        qr/"trp_entry" must come after the load balancing method of /,
        "trp_entry; $method");
}

# what is no method may stand where it likes

like(check($t, "zone relay 64k;\ntrp_entry;"), qr/test is successful/,
    'zone, trp_entry');
like(check($t, "trp_entry;\nzone relay 64k;"), qr/test is successful/,
    'trp_entry, zone');
like(check($t, "trp_entry;\nserver 127.0.0.1:8444 backup;"),
    qr/test is successful/, 'trp_entry, server');


sub check {
    my ($t, $directives) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        $directives
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

    return nginx_test($t);
}
