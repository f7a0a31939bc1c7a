#!/usr/bin/perl

# Tests for "trp_entry local" in configurations that stop "nginx -t" with a
# sentence.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $relay = <<'EOC';
    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC

# the server of the relay, the upstream, and the message

my $needless = qr/cannot be used with "trp_entry local" in .*nginx\.conf:\d+, /;

my @tests = (
    [ '', 'trp_entry local;', qr/"trp_entry local" in .*nginx\.conf:\d+ /
        . qr/needs a relay in this nginx, write a server with "trp_relay"/ ],
    [ $relay . $relay =~ s/8443/8444/r, 'trp_entry local;',
        qr/cannot be used with several servers with "trp_relay", write one/ ],
    [ $relay, 'trp_entry remote;', qr/invalid parameter "remote" in "trp_en/
        . qr/try", write "local" for the relay of this nginx/ ],
    [ $relay, 'trp_entry local local;', qr/invalid number of arguments/ ],
    [ $relay, 'trp_entry local; trp_entry local;', qr/is duplicate/ ],

    [ $relay, 'trp_entry local; server 127.0.0.1:1;',
        qr/"server" ${needless}leave it out: the relay is this nginx/ ],
    [ $relay, 'server 127.0.0.1:1; trp_entry local;', qr/"server" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_key entry;',
        qr/"trp_entry_key" ${needless}leave it out: there is no tunnel/ ],
    [ $relay, 'trp_entry local; trp_entry_pool idle=1;',
        qr/"trp_entry_pool" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_groups max=1;',
        qr/"trp_entry_groups" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_connect_timeout 1s;',
        qr/"trp_entry_connect_timeout" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_next_timeout 1s;',
        qr/"trp_entry_next_timeout" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_heartbeat 1s;',
        qr/"trp_entry_heartbeat" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_resolve ipv6=off;',
        qr/"trp_entry_resolve" $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_ssl_verify off;',
        qr/"trp_entry_ssl_\.\.\." $needless/ ],
    [ $relay, 'trp_entry local; trp_entry_turn 127.0.0.1:3478;',
        qr/"trp_entry_turn\.\.\." $needless/ ],
);

my @good = (
    'trp_entry local;',
    'trp_entry local; trp_entry_group one; trp_entry_name front; '
        . 'trp_entry_open_timeout 5s; trp_entry_unavailable reset;',
    'hash $remote_addr; trp_entry local;',
    'zone hub 64k; trp_entry local;',
);

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry'));

plan(tests => @tests + @good + 2 + 2);

for my $test (@tests) {
    my ($server, $upstream, $message) = @$test;

    config($t, $server, $upstream);
    like(nginx_test($t), qr/^nginx: \[emerg\] .*$message.*test failed$/s,
        $upstream);
}

for my $upstream (@good) {
    config($t, $relay, $upstream);
    like(nginx_test($t), qr/test is successful$/, "good: $upstream");
}

# without the relay's module, and with one of another build

SKIP: {
    my $dso = $t->test_globals() =~ /load_module/;
    skip 'modules are not loaded', 2 if !$dso;

    config($t, '', 'trp_entry local;');
    my $conf = $t->read_file('nginx.conf');
    my ($file) = $conf =~ /load_module (\S*ngx_trp_relay_module\.so);/;

    $t->write_file('nginx.conf', $conf =~ s/load_module \Q$file\E;//r);
    like(nginx_test($t), qr/needs the relay's module, write "load_module mod/,
        'no module');

    # the number by which the two know each other

    my $so = do { local (@ARGV, $/) = $file; <> };
    my $changed = ($so =~ s/hprt/HPRT/g);

    $t->write_file('other.so', $so);
    $t->write_file('nginx.conf', $conf =~ s/\Q$file\E/other.so/r);

    like($changed && nginx_test($t),
        qr/needs a ngx_trp_relay_module\.so of the same build, install both/,
        'another build');
}


sub config {
    my ($t, $server, $upstream) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$server
    upstream hub {
        $upstream
    }

    server {
        trp_route %%PORT_8080%%:22 bind=127.0.0.1;
        proxy_pass hub;
    }
}

EOC
}
