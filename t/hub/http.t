#!/usr/bin/perl

# Tests for http {} in the nginx of the relay: it reaches a service behind an
# agent by a route that listens on a loopback address.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl http proxy /);
my $reverse = Test::Nginx->new()->has(qw/ http /);

hub_conf($hub);
$hub->write_file('nginx.conf', $hub->read_file('nginx.conf')
    . expand(<<'EOC'));

http {
    %%TEST_GLOBALS_HTTP%%

    upstream intranet {
        server 127.0.0.1:%%PORT_8080%%;
        keepalive 4;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;

        location / {
            proxy_pass http://intranet;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

reverse_conf($reverse, 8443);
$reverse->write_file('nginx.conf', $reverse->read_file('nginx.conf')
    . expand(<<'EOC'));

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_8090%%;

        location / {
            return 200 "SEE $connection_requests\n";
        }

        location /large {
            alias %%TESTDIR%%/large;
        }
    }
}
EOC

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));
$reverse->write_file('large', 'x' x 1_000_000);

$hub->run();
$reverse->run()->plan(8 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');

like(get('/'), qr/200 OK.*SEE 1$/ms, "request $_") for 1;
like(get('/'), qr/200 OK.*SEE $_$/ms, "request $_") for 2 .. 3;
is(length(get('/large') =~ s/.*?\r\n\r\n//sr), 1_000_000, 'large');

# a reload of the hub with an idle connection to the service

reload_and_wait($hub);
like(get('/'), qr/200 OK/, 'reload of the hub');
like(get('/'), qr/200 OK/, 'once more');

# the connection that was kept may be gone: nginx takes another one

reload_and_wait($reverse);
like(get('/'), qr/200 OK/, 'reload of the reverse');


sub get {
    my ($uri) = @_;

    return http("GET $uri HTTP/1.0\r\nHost: localhost\r\n\r\n",
        PeerAddr => '127.0.0.1:' . port(8081));
}


sub expand {
    my ($text) = @_;
    my $dir = $text =~ /listen 127.0.0.1:%%PORT_8090/ ? $reverse : $hub;

    $text =~ s/%%TEST_GLOBALS_HTTP%%/$dir->test_globals_http()/ge;
    $text =~ s/%%TESTDIR%%/$dir->testdir()/ge;
    $text =~ s/%%PORT_(\d+)%%/port($1)/ge;

    return $text;
}
