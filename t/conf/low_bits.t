#!/usr/bin/perl

# Blocks with low address bits, which a port was meant by, perhaps: "nginx -t"
# warns of them wherever a block may stand.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# directive in a place, and the block as it is named

my @tests = (
    [ 'stream', 'trp_reverse_allow 10.0.0.5/22', '10.0.0.5/22' ],
    [ 'stream', 'trp_reverse_allow 10.0.0.0/8 10.0.0.5/22:80', '10.0.0.5/22:80'
        ],
    [ 'stream', 'trp_reverse_allow [2001:db8::1]/32:80', '[2001:db8::1]/32:80'
        ],
    [ 'stream', 'trp_socks5_allow 10.0.0.5/22', '10.0.0.5/22' ],
    [ 'stream', 'trp_socks5_deny 10.0.0.5/22', '10.0.0.5/22' ],
    [ 'stream', 'trp_turn_allow 10.0.0.5/22', '10.0.0.5/22' ],
    [ 'stream', 'trp_turn_deny 10.0.0.5/22', '10.0.0.5/22' ],
    [ 'entry', 'trp_route 10.0.0.5/22:%%PORT_8081%%:22 bind=127.0.0.1',
        '10.0.0.5/22:%%PORT_8081%%:22' ],
    [ 'keys', 'from="10.0.0.5/22"', '10.0.0.5/22' ],
    [ 'keys', 'permitopen="10.0.0.0/8:80,10.0.0.5/22:80"', '10.0.0.5/22:80' ],
);

my @silent = (
    [ 'stream', 'trp_reverse_allow 10.0.0.5:22 10.0.0.5/32 10.0.4.0/22 all' ],
    [ 'stream', 'trp_socks5_deny ::1 2001:db8::/32' ],
    [ 'stream', 'trp_turn_deny 10.0.0.5 10.0.0.0/8 all' ],
    [ 'entry', 'trp_route 10.0.0.5:%%PORT_8081%%:22 bind=127.0.0.1' ],
    [ 'keys', 'from="10.0.0.5,10.0.0.0/8",permitopen="10.0.0.5:22"' ],
);

trp_cert($t);
my $key = trp_keys($t, 'auth');

plan(tests => @tests + @silent + 2);

for my $test (@tests) {
    my ($place, $text, $block) = @$test;
    my $name = $text =~ /^(\w+) / ? qr/ in "$1"/ : qr//;

    my $warning = qr/\[warn\] .*low address bits of "\Q${\ports($block)}\E"/;

    like(output_of($place, $text),
        qr/^(?=.*$warning$name are meaningless).*successful$/s, $text);
}

unlike(output_of(@$_), qr/\[warn\]|failed/, $_->[1]) for @silent;


sub output_of {
    my ($place, $text) = @_;

    $t->write_file('authorized_keys',
        ($place eq 'keys' ? "$text " : '') . "$key\n");

    my %at = map { $_ => $_ eq $place ? "$text;" : '' } qw/ stream entry /;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    $at{stream}

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8082%%:22 bind=127.0.0.1;
        $at{entry}
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8080 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    server {
        listen 127.0.0.1:8083;
        trp_turn;
    }
}

EOC

    return nginx_test($t);
}


sub ports {
    return $_[0] =~ s/%%PORT_(\d+)%%/port($1)/ger;
}
