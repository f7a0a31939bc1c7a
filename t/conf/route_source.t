#!/usr/bin/perl

# A route with a loopback address as its source, which says who may connect and
# not where to listen: "nginx -t" warns unless it is clear what is meant.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my @warned = (
    '127.0.0.1:%%PORT_8081%%:22',
    '127.0.0.53:%%PORT_8081%%:10.0.0.5:22',
    '[::1]:%%PORT_8081%%:22',
    '[::ffff:127.0.0.1]:%%PORT_8081%%:22 backlog=5',
    '127.0.0.1:6000-6001:22',
);

my @silent = (
    '%%PORT_8081%%:22',
    '10.0.0.5:%%PORT_8081%%:22',
    '%%PORT_8081%%:22 bind=127.0.0.1',
    '127.0.0.1:%%PORT_8081%%:22 bind=127.0.0.1',
    '127.0.0.1/32:%%PORT_8081%%:22',
    '127.0.0.0/8:%%PORT_8081%%:22',
    '[::1]/128:%%PORT_8081%%:22',
);

trp_keys($t, 'auth');
trp_cert($t);

plan(tests => @warned + @silent + 2);

my $warning = qr/\[warn\] route "\S+" listens on all addresses, and /
    . qr/lets this host alone connect: write "bind=ADDRESS" for where to /
    . qr/listen, or the source as a block, "ADDRESS\/PREFIX" in \S+nginx.conf:/;

like(output_of($_), qr/^(?=.*$warning).*successful$/s, $_) for @warned;
unlike(output_of($_), qr/\[warn\]|failed/, $_) for @silent;


sub output_of {
    my ($route) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route $route;
        proxy_pass relay;
    }
}

EOC

    return nginx_test($t);
}
