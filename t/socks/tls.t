#!/usr/bin/perl

# Tests for SOCKS5 servers behind TLS and behind the PROXY protocol, and for
# the stock modules that hold there, too.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_access stream_limit_conn stream_realip
        socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $remote_addr $trp_socks5_user $status "
        "$trp_destination $ssl_protocol $bytes_received $bytes_sent";
    access_log %%TESTDIR%%/access.log socks;

    limit_conn_zone $binary_remote_addr zone=one:1m;

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

        proxy_half_close on;
        proxy_pass $trp_destination;
    }

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_socks5;
        trp_socks5_user bob:secret;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%% proxy_protocol;
        set_real_ip_from 127.0.0.1;
        deny 192.0.2.66;

        trp_socks5;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%% ssl proxy_protocol;
        set_real_ip_from 127.0.0.1;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_socks5;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        allow 127.0.0.1;
        deny all;
        limit_conn one 1;

        trp_socks5;
        proxy_pass relay;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry', 'reverse'));
serve($t, port(8090), 'echo');
serve($t, port(8091), 'reset', after => 3);
$t->run()->plan(34);

my $echo = '127.0.0.1:' . port(8090);
my $closed = '127.0.0.1:' . port(8099);
my @user = (user => 'bob', password => 'secret');
my @all = ([ 'TLS', 8080, ssl => 1, @user ],
    [ 'PROXY', 8081, before => header() ],
    [ 'PROXY and TLS', 8082, ssl => 1, before => header() ]);

for my $case (@all) {
    my ($name, $port, @opts) = @$case;
    my $noise = noise(300_000);

    my $c = socks(port($port), $echo, @opts);
    is($c->rep(), 0, "$name: connected");
    ok(echo($c, $noise) eq $noise, "$name: echo");
    $c->close();

    is(ask($port, $echo, @opts, slow => 1), '0 SEE', "$name: byte by byte");
    is(ask($port, $echo, @opts, once => 1), '0 SEE', "$name: at once");

    $c = socks(port($port), $echo, @opts, once => 1, data => $noise);
    ok($c->read(300_000) eq $noise, "$name: early data");
    $c->close();

    is(ask($port, $closed, @opts), '5 eof', "$name: refused");
    is(ask($port, $closed, @opts, once => 1, data => 'x' x 5000), '5 eof',
        "$name: refused, early data");
}

is(ask(8080, $echo, ssl => 1, user => 'bob', password => 'x'), 'auth 1 eof',
    'TLS: wrong password');
is(ask(8080, $echo, ssl => 1), 'method 255 eof', 'TLS: no password');

my $c = socks(port(8080), $echo, raw => socks_greeting(0 .. 20));
like($c->end_of(), qr/^(?:\d+ bytes, )?(?:eof|reset)$/, 'no TLS');

ok(wait_log($t, qr/^${\port(8080)} 127\.0\.0\.1 bob 200 \Q$echo\E TLSv1\.\d /,
    file => 'access.log'), 'TLS: access log');
ok(wait_log($t, qr/^${\port(8082)} 192\.0\.2\.1 -? 200 \Q$echo\E TLSv1\.\d /,
    file => 'access.log'), 'PROXY: access log');

# a reset behind TLS is no clean end

$c = socks(port(8080), '127.0.0.1:' . port(8091), ssl => 1, @user);
$c->write('SEE');
isnt($c->end_of(), 'eof', 'TLS: reset') or diag $c->end();

# stock modules

$c = socks(port(8081), $echo, stop => 'connect',
    before => header('192.0.2.66'));
like($c->end_of(), qr/^(?:eof|reset)$/, 'deny');
ok(wait_log($t, qr/^${\port(8081)} 192\.0\.2\.66 -? 403 /,
    file => 'access.log'), 'its status');
$c = socks(port(8083), $echo, stop => 'connect', from => '127.0.0.2');
like($c->end_of(), qr/^(?:eof|reset)$/, 'not in allow');
ok(wait_log($t, qr/^${\port(8083)} 127\.0\.0\.2 -? 403 /,
    file => 'access.log'), 'its status');

my $first = socks(port(8083), $echo);
is($first->echo('SEE'), 'SEE', 'limit_conn: first');
$c = socks(port(8083), $echo, stop => 'connect');
like($c->end_of(), qr/^(?:eof|reset)$/, 'limit_conn: second');
ok(wait_log($t, qr/^${\port(8083)} 127\.0\.0\.1 -? 503 /,
    file => 'access.log'), 'its status');
$first->close();


sub ask {
    my ($port, $to, %opts) = @_;
    my $c = socks(port($port), $to, %opts);

    return "method 255 $c->{end}" if ($c->method() || 0) == 255;
    return "auth $c->{auth} $c->{end}" if $c->auth();
    return $c->end() if !defined $c->rep();
    return $c->rep() . ' ' . ($c->end() || $c->echo('SEE'));
}


# there and back, in parts that fit into the buffers on the way

sub echo {
    my ($c, $data) = @_;

    return join '', map { $c->echo($_) } unpack '(a10000)*', $data;
}


sub header {
    my ($from) = @_;
    return sprintf "PROXY TCP4 %s 192.0.2.9 123 5678\r\n", $from || '192.0.2.1';
}
