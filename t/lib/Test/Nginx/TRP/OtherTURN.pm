package Test::Nginx::TRP::OtherTURN;

# SOCKS5 over other TURN servers: what must work with each of them.
#
#     other_turn_conf($t, 8367, 8368);
#     other_turn_test($t, 'pion', sub { ... });

use strict;
use warnings;

use Exporter qw/ import /;
use Test::More;

use Test::Nginx qw/ port /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs qw/ dns_answers dns_query name_server /;
use Test::Nginx::TRP::SOCKS;

our @EXPORT = qw/ other_turn_conf other_turn_test /;


# SOCKS5 over the server on these ports, of UDP and TCP, and of TLS: 8080 is by
# UDP, 8081 by TCP, 8082 by TLS, and 8083 has a wrong password.

sub other_turn_conf {
    my ($t, $port, $tls) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

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
        server 127.0.0.1:$port;
        trp_turn_client;
        trp_turn_client_user alice:secret;
    }

    upstream tcp {
        server 127.0.0.1:$port;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    upstream tls {
        server 127.0.0.1:$tls;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_ssl_name localhost;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
    }

    upstream stranger {
        server 127.0.0.1:$port;
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
}


# Plans and makes the tests.  The code starts the server, and once more after it
# was killed; its pid is in NAME.pid.

sub other_turn_test {
    my ($t, $server, $start) = @_;
    my $dns = port(8982, udp => 1);
    my %proxies = (udp => port(8080), tcp => port(8081), tls => port(8082));
    my $count = 0;

    $start->();

    serve($t, port(8090), 'echo', record => 'echo.log');
    serve($t, port(8091), 'flood', bytes => 30_000);
    serve($t, port(8092), 'reset', after => 1_000_000);
    name_server($t, $dns, 'a.example' => '192.0.2.1', 'large.example' => 'txt '
        . join '', map { sprintf '%08d', $_ } 1 .. 150);

    $t->run()->plan(3 * 11 + 6);

    _way($t, $_, $proxies{$_}, ++$count, $dns) for sort keys %proxies;

    # a wrong password is an error of the proxy, not of the client

    is(socks(port(8083), '127.0.0.1:' . port(8090))->rep(), 1,
        'wrong password');
    ok(wait_log($t, qr/401/), 'wrong password, log');

    # the server goes, connections are reset, and new ones fail; it comes back

    my $c = socks($proxies{tcp}, '127.0.0.1:' . port(8090));
    is($c->echo('SEE'), 'SEE', 'a connection');

    kill 'KILL', $t->read_file("$server.pid") =~ /(\d+)/;
    like($c->end_of(), qr/^(?:reset|eof)$/, "ends with $server");

    isnt(socks($proxies{tcp}, '127.0.0.1:' . port(8090))->rep(), 0,
        "without $server");

    $start->();
    ok(wait_for(sub {
        my $c = socks($proxies{tcp}, '127.0.0.1:' . port(8090));
        return defined $c->rep() && $c->rep() == 0 && $c->echo('SEE') eq 'SEE';
    }), "with $server again");
}


# what must work by UDP, TCP or TLS; the end of its transfer is line "count" of
# echo.log

sub _way {
    my ($t, $name, $proxy, $count, $dns) = @_;

    my $c = socks($proxy, '127.0.0.1:' . port(8090));

    is($c->rep(), 0, "$name: CONNECT");
    like($c->bnd(), qr/^127\.0\.0\.1:2[0-5]\d{3}$/, "$name: relayed address");

    my $result = transfer($c->socket(), 30_000, fin => 0);
    is("$result->{received} $result->{received_sha} $result->{end}",
        "30000 $result->{sent_sha} open", "$name: there and back");
    $c->close();
    ok(wait_log($t, qr/^30000 $result->{sent_sha} /, file => 'echo.log',
        count => $count), "$name: end");

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

    isnt(socks($proxy, '127.0.0.1:' . port(8099))->rep(), 0,
        "$name: refused");

    my $u = socks_udp($proxy);
    is(_ask($u, $dns, 'a.example', 'A'), "127.0.0.1:$dns 192.0.2.1",
        "$name: UDP");
    like(_ask($u, $dns, 'large.example', 'TXT'), qr/ 00000001.*00000150$/,
        "$name: UDP, large");
}


sub _ask {
    my ($u, $dns, $name, $type) = @_;

    return 'no association' if !$u->udp();
    my $m = $u->ask("127.0.0.1:$dns", dns_query($name, $type))
        or return 'no answer';

    return $m->{from} . ' ' . dns_answers($m->{data});
}


1;
