#!/usr/bin/perl

# Tests for mistakes in the configuration of a portal.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream /);
my $dir = $t->testdir();

my %files = (token => "token\n", open => "token\n", empty => "\n",
    words => "two words\n", lines => "two\nlines\n", large => 'x' x 20000);

$t->write_file($_, $files{$_}) for keys %files;
chmod 0600, map { "$dir/$_" } keys %files;
chmod 0644, "$dir/open";

my @urls = (
    [ 'http://localhost', qr/invalid portal URL "http:\/\/localhost"/ ],
    [ 'localhost', qr/write "wss:\/\/host" or "ws:\/\/host"/ ],
    [ 'wss://', qr/write "wss:\/\/host" or "ws:\/\/host"/ ],
    [ 'ws://:80', qr/no host in portal URL/ ],
    [ 'ws://localhost:0', qr/invalid port in portal URL/ ],
    [ 'ws://localhost:65536', qr/invalid port in portal URL/ ],
    [ 'ws://[::1', qr/invalid host in portal URL/ ],
    [ 'ws://unix:/tmp/socket', qr/a host is needed/ ],
    [ 'ws://me@localhost', qr/without user, query and fragment/ ],
    [ 'ws://localhost?token=x', qr/without user, query and fragment/ ],
    [ 'ws://localhost/#x', qr/without user, query and fragment/ ],
    [ 'ws://localhost/relay/websocket', qr/without "\/relay\/websocket"/ ],
    [ 'ws://localhost/a/relay/websocket/', qr/without "\/relay\/websocket"/ ],
);

my @tokens = (
    [ 'none', qr/open\(\) "\Q$dir\E\/none" failed/ ],
    [ 'open', qr/token file .* run "chmod 600 \Q$dir\E\/open"/ ],
    [ 'empty', qr/token file .* must hold one line, the token/ ],
    [ 'words', qr/token file .* must hold one line, the token/ ],
    [ 'lines', qr/token file .* must hold one line, the token/ ],
    [ 'large', qr/token file .* is larger than/ ],
);

my @good = ('ws://localhost', 'WS://localhost:8081/', 'wss://127.0.0.1',
    'wss://localhost/a/b', 'ws://[::1]', 'ws://[::1]:8081/a%20b',
    'ws://localhost/relay', 'ws://localhost account_validation');

$t->plan(@urls + @tokens + @good + 4);

like(check($t, $_->[0], 'token'), $_->[1], $_->[0]) for @urls;
like(check($t, 'ws://localhost', $_->[0]), $_->[1], "token $_->[0]")
    for @tokens;
like(check($t, $_, 'token'), qr/test is successful/, $_) for @good;

like(check($t, 'wss://localhost', 'token',
    'trp_turn_portal_trusted_certificate none.crt;'), qr/\[emerg\].*none\.crt/,
    'no certificate');
like(check($t, 'ws://localhost', 'token', 'trp_turn_portal ws://localhost;'),
    qr/"trp_turn_portal" directive is duplicate/, 'two portals');
like(check($t, 'ws://localhost validation', 'token'), qr/\[emerg\]/,
    'a parameter');
like(check($t, 'ws://localhost', undef), qr/\[emerg\].*token/, 'no token');


sub check {
    my ($t, $url, $token, $more) = @_;

    $more ||= '';
    $token = defined $token ? "trp_turn_portal_token_file $token;" : '';

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal $url;
        $token
        $more
    }
}

EOC

    return nginx_test($t);
}
