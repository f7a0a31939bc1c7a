#!/usr/bin/perl

# Tests for trp_socks5_allow and trp_socks5_deny.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# port of the server, destination, 1 if it is allowed

my @tests = (

    # nothing is said

    [ 8080, '10.0.0.5:22', 1 ],
    [ 8080, '[2001:db8::5]:22', 1 ],
    [ 8080, 'localhost:22', 1 ],

    # deny stands in front of allow, whatever the order

    [ 8081, '127.0.0.1:22', 1 ],
    [ 8081, '127.0.0.5:22', 0 ],
    [ 8081, '127.0.0.6:79', 1 ],
    [ 8081, '127.0.0.6:80', 0 ],
    [ 8081, '127.0.0.6:90', 0 ],
    [ 8081, '127.0.0.6:91', 1 ],
    [ 8081, '127.0.0.7:25', 0 ],
    [ 8081, '128.0.0.1:22', 0 ],
    [ 8081, '[::1]:22', 0 ],
    [ 8081, '[::ffff:127.0.0.1]:22', 1 ],
    [ 8081, '[::ffff:127.0.0.5]:22', 0 ],
    [ 8081, '[::ffff:127.0.0.6]:85', 0 ],
    [ 8081, '0.0.0.0:22', 1 ],
    [ 8081, '[::]:22', 0 ],

    # deny alone

    [ 8082, '11.0.0.1:22', 1 ],
    [ 8082, '10.1.2.3:22', 0 ],
    [ 8082, '[::ffff:10.1.2.3]:22', 0 ],
    [ 8082, '[2001:db8::5]:22', 0 ],
    [ 8082, '[2001:db8:ffff::5]:22', 0 ],
    [ 8082, '[2001:db9::5]:22', 1 ],
    [ 8082, '11.0.0.1:25', 0 ],
    [ 8082, '[2001:db9::5]:25', 0 ],

    # a name may be one of these addresses

    [ 8082, 'localhost:22', 0 ],

    # names, alone

    [ 8083, 'localhost:22', 1 ],
    [ 8083, 'LOCALHOST:22', 1 ],
    [ 8083, 'localhost:23', 0 ],
    [ 8083, 'localhost.localhost:22', 0 ],
    [ 8083, 'a.localhost:8022', 1 ],
    [ 8083, 'a.b.localhost:8022', 1 ],
    [ 8083, 'bad.localhost:8022', 0 ],
    [ 8083, 'Bad.LocalHost:8022', 0 ],
    [ 8083, 'a.bad.localhost:8022', 0 ],
    [ 8083, 'worse.localhost:8022', 1 ],
    [ 8083, 'a.worse.localhost:8022', 0 ],
    [ 8083, 'alocalhost:8022', 0 ],
    [ 8083, 'other:22', 0 ],
    [ 8083, '127.0.0.1:22', 0 ],

    # addresses allow no name, which is resolved far away

    [ 8081, 'localhost:22', 0 ],
    [ 8084, 'localhost:22', 0 ],
    [ 8084, '127.0.0.1:22', 1 ],
    [ 8084, '[::1]:22', 1 ],
    [ 8084, '[::1]:23', 0 ],

    # all

    [ 8085, '127.0.0.1:22', 0 ],
    [ 8085, '[::1]:22', 0 ],
    [ 8085, 'localhost:22', 0 ],
    [ 8086, '127.0.0.1:22', 1 ],
    [ 8086, '[::1]:22', 1 ],
    [ 8086, 'localhost:22', 1 ],
    [ 8086, 'localhost:25', 0 ],

    # rules of stream {} hold where a server has none

    [ 8087, '127.0.0.9:22', 0 ],
    [ 8080, '127.0.0.9:22', 1 ],
);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$server_port $trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    trp_socks5_deny 127.0.0.9;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream agents {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse agents;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow all;
        return "$trp_destination";
    }

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        trp_socks5_deny nobody;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        trp_socks5_allow 127.0.0.0/8;
        trp_socks5_deny 127.0.0.5 127.0.0.6:80-90;
        trp_socks5_deny *:25;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_deny 10.0.0.0/8 [2001:db8::]/32 all:25;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        trp_socks5_deny bad.localhost *.bad.localhost *.worse.localhost;
        trp_socks5_allow localhost:22 *.localhost:8000-8099;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8084%%;
        trp_socks5;
        trp_socks5_allow 127.0.0.1 [::1]:22;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8085%%;
        trp_socks5;
        trp_socks5_allow all;
        trp_socks5_deny all;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8086%%;
        trp_socks5;
        trp_socks5_allow all;
        trp_socks5_deny *:25;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8087%%;
        trp_socks5;
        proxy_pass relay;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry', 'reverse'));
$t->run();

# each one as an address, and as a name with the address in it

my (@all, %denied);

for my $test (@tests) {
    my ($port, $to, $allowed) = @$test;

    push @all, [ $port, $to, $allowed ];
    push @all, [ $port, $to, $allowed, 'name' ] if $to !~ /[g-z]/i;
}

$t->plan(@all + 4);

for my $test (@all) {
    my ($port, $to, $allowed, $type) = @$test;

    my $c = socks(port($port), $to, type => $type);
    my $canonical = $to =~ s/\[::ffff:(.*)\]/$1/r;
    my $name = "$port: $to" . ($type ? ' as a name' : '');

    # a name that nobody knows has gone further than our rules

    if ($allowed && $to =~ /(?:^a|\.).*localhost/) {
        ok($c->rep() != 2, "$name: allowed");

    } elsif ($allowed) {
        my $answer = $c->rep() == 0 ? $c->read(length $canonical) : '';
        $canonical =~ s/localhost/127.0.0.1/i;
        like($answer, qr/^(?:\Q$canonical\E|127\.0\.0)/, "$name: allowed");

    } else {
        is($c->rep() . " $c->{end}", '2 eof', "$name: denied");
        $denied{$port}++;
    }
}

my $denied = 0;
$denied += $_ for values %denied;

ok(wait_log($t, qr/ not allowed 403$/, count => $denied,
    file => 'access.log'), 'access log');

# the log says which directive it was, and where to

my $line = qr/ not allowed by "trp_socks5_allow"|has to be in "trp_socks5_allow"/;

is(count_log($t, qr/\[(?:info|warn|error)\].*$line/), $denied, 'a line for each');
is(count_log($t, qr/$line.*127\.0\.0\.5:22.* client: 127\.0\.0\.1/), 4,
    'with destination and client');
is(count_log($t, qr/\[alert\]/), 0, 'no alerts');
