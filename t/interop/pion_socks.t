#!/usr/bin/perl

# Tests for SOCKS5 over the server of pion/turn 5: streams and datagrams by TCP,
# TLS and UDP, ends, refusals, a wrong password, a server that goes and comes
# back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Interop;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::SOCKS;

my $missing = interop_missing('pion');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream udp {
        server 127.0.0.1:8367;
        trp_turn_client;
        trp_turn_client_user alice:secret;
    }

    upstream tcp {
        server 127.0.0.1:8367;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    upstream tls {
        server 127.0.0.1:8368;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_ssl_name localhost;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
    }

    upstream stranger {
        server 127.0.0.1:8367;
        trp_turn_client;
        trp_turn_client_user alice:guess;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass udp;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_pass tcp;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        proxy_pass tls;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        proxy_pass stranger;
    }
}

EOC

trp_cert($t);
my ($port, $tls) = (both_ports(8367), port(8368));
pion();

my $dns = port(8982, udp => 1);
my $count = 0;
my %proxies = (udp => port(8080), tcp => port(8081), tls => port(8082));

serve($t, port(8090), 'echo', record => 'echo.log');
serve($t, port(8091), 'flood', bytes => 30_000);
serve($t, port(8092), 'reset', after => 1_000_000);
name_server($t, $dns, 'a.example' => '192.0.2.1', 'large.example' => 'txt '
    . join '', map { sprintf '%08d', $_ } 1 .. 150);

$t->run()->plan(3 * 11 + 6);

for my $name (sort keys %proxies) {
    my $proxy = $proxies{$name};
    my $c = socks($proxy, '127.0.0.1:' . port(8090));

    is($c->rep(), 0, "$name: CONNECT");
    like($c->bnd(), qr/^127\.0\.0\.1:2[0-5]\d{3}$/, "$name: relayed address");

    my $result = transfer($c->socket(), 30_000, fin => 0);
    is("$result->{received} $result->{received_sha} $result->{end}",
        "30000 $result->{sent_sha} open", "$name: there and back");
    $c->close();
    ok(wait_log($t, qr/^30000 $result->{sent_sha} /, file => 'echo.log',
        count => ++$count), "$name: end");

    # coturn stalls if more comes from a peer that speaks first, or if much
    # goes both ways at once

    $c = socks($proxy, '127.0.0.1:' . port(8091));
    ok($c->read(30_000) eq noise(30_000), "$name: a peer that speaks first");

    $c = socks($proxy, '127.0.0.1:' . port(8092));
    ok($c->write(noise(1_000_000)), "$name: a megabyte to there");
    like($c->end_of(), qr/^(?:reset|eof)$/, "$name: all of it");

    # the same peer for several at a time

    my @many = map { socks($proxy, '127.0.0.1:' . port(8090)) } 1 .. 8;
    is(join(' ', map { $_->echo("SEE $_") eq "SEE $_" ? 1 : 0 } @many),
        join(' ', (1) x 8), "$name: eight at a time");
    $_->close() for @many;

    isnt(socks($proxy, '127.0.0.1:' . port(8099))->rep(), 0, "$name: refused");

    my $u = socks_udp($proxy);
    is(ask($u, 'a.example', 'A'), "127.0.0.1:$dns 192.0.2.1", "$name: UDP");
    like(ask($u, 'large.example', 'TXT'), qr/ 00000001.*00000150$/,
        "$name: UDP, large");
}

# a wrong password is our fault, not the client's

is(socks(port(8083), '127.0.0.1:' . port(8090))->rep(), 1, 'wrong password');
ok(wait_log($t, qr/401/), 'wrong password, log');

# it goes: connections are reset, new ones fail; and comes back

my $c = socks($proxies{tcp}, '127.0.0.1:' . port(8090));
is($c->echo('SEE'), 'SEE', 'a connection');

kill 'KILL', $t->read_file('pion.pid') =~ /(\d+)/;
like($c->end_of(), qr/^(?:reset|eof)$/, 'ends with the server');

isnt(socks($proxies{tcp}, '127.0.0.1:' . port(8090))->rep(), 0,
    'without it');

pion();
ok(wait_for(sub {
    my $c = socks($proxies{tcp}, '127.0.0.1:' . port(8090));
    return defined $c->rep() && $c->rep() == 0 && $c->echo('SEE') eq 'SEE';
}), 'with it again');


sub pion {
    my $dir = $t->testdir();

    $t->run_daemon('sh', '-c', 'echo $$ > "$0/pion.pid"; '
        . 'exec "$@" 2> "$0/pion.log"', $dir, interop_command('pion',
        'server', "127.0.0.1:$port", qw/ alice secret 20000-25999 /,
        "$dir/localhost.crt", "$dir/localhost.key", "127.0.0.1:$tls"));

    $t->waitforsocket("127.0.0.1:$_") or die "no pion\n" for $port, $tls;
}


sub ask {
    my ($u, $name, $type) = @_;

    return 'no association' if !$u->udp();
    my $m = $u->ask("127.0.0.1:$dns", dns_query($name, $type))
        or return 'no answer';

    return $m->{from} . ' ' . dns_answers($m->{data});
}
