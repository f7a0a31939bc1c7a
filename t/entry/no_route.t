#!/usr/bin/perl

# Tests for a server that passes to a relay by a variable and has no route: what
# "nginx -t" cannot find is one line for each user.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map /)->plan(3);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$server_port $status [$trp_destination]";
    access_log %%TESTDIR%%/access.log trp;

    map $server_port $upstream {
        default relay;
    }

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8081;
        proxy_pass $upstream;
    }
}

EOC

trp_cert($t);
trp_keys($t, 'auth');

$t->run();

my $s = connect_to(port(8081));
is((drain($s))[0], 0, 'nothing for the user');

ok(wait_log($t, qr/^${\port(8081)} 500 \[-\]$/, file => 'access.log'), 'status');
is(count_log($t, qr/\[error\].* no "trp_route" says where to, a server that /
    . qr/passes to "relay" needs one in place of "listen"/), 1, 'one line');
