#!/usr/bin/perl

# Tests for real clients with SOCKS5 over TURN servers, trp's and coturn, each
# by TCP and by TLS: curl, ssh, proxychains4, DNS, WebSockets.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::WebRTC qw/ node_missing /;

my $t = Test::Nginx->new()->has(qw/ http http_ssl stream stream_ssl /)
    ->has_daemon('turnserver')->has_daemon('curl');

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
    resolver 127.0.0.1:%%PORT_8982_UDP%%;

    server {
        listen 127.0.0.1:8347 udp;
        listen 127.0.0.1:8347;
        listen 127.0.0.1:8348 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 26000-31999;
        trp_turn_user alice:secret;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }

    upstream trp {
        server 127.0.0.1:8347;
        trp_turn_client;
        trp_turn_client_user alice:secret;
        trp_turn_client_allocations 40;
    }

    upstream trp_tls {
        server 127.0.0.1:8348;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_allocations 40;
        trp_turn_client_ssl_name localhost;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
    }

    upstream coturn {
        server 127.0.0.1:8337;
        trp_turn_client;
        trp_turn_client_user alice:secret;
        trp_turn_client_allocations 40;
    }

    upstream coturn_tls {
        server 127.0.0.1:8338;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_allocations 40;
        trp_turn_client_ssl_name localhost;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass trp;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_pass trp_tls;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        proxy_pass coturn;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        proxy_pass coturn_tls;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    client_max_body_size 10m;
    client_body_buffer_size 10m;

    server {
        listen 127.0.0.1:8090;
        listen 127.0.0.1:8091 ssl;

        ssl_certificate web.crt;
        ssl_certificate_key web.key;

        location / {
            return 200 "$host $scheme $request_uri-";
        }

        location /file {
            alias %%TESTDIR%%/file;
        }
    }
}

EOC

trp_cert($t);
both_ports(8347);
coturn($t, 8337, 8338) or die "no coturn\n";
trp_ca($t, 'ca');
trp_issue($t, 'ca', 'web', names => 'DNS:web.example');
$t->write_file('file', noise(3_000_000));

my ($web, $tls, $sshd) = (port(8090), port(8091), port(8022));
my ($dns, $dir) = (port(8982, udp => 1), $t->testdir());

name_server($t, $dns, 'web.example' => '127.0.0.1',
    'a.example' => '192.0.2.1 192.0.2.2');

my $ssh = sshd($t, $sshd);
my $nc = output({ err => 1 }, 'nc', '-h') =~ /^\s*-X proto/m;
my $node = !grep { node_missing($_) } qw/ socks-proxy-agent ws /;

my %proxies = (
    'trp' => port(8080),
    'trp by TLS' => port(8081),
    'coturn' => port(8082),
    'coturn by TLS' => port(8083),
);

$t->run()->plan(4 * 10);

for my $name (sort keys %proxies) {
    my $proxy = $proxies{$name};
    my @curl = ('--socks5-hostname', "127.0.0.1:$proxy");

    is(curl(@curl, "http://web.example:$web/a"), 'web.example http /a-',
        "$name: curl, name");
    is(curl(@curl, '--cacert', "$dir/ca.crt", "https://web.example:$tls/a"),
        'web.example https /a-', "$name: curl, HTTPS");
    ok(curl(@curl, "http://127.0.0.1:$web/file") eq noise(3_000_000),
        "$name: curl, download");
    is(curl(@curl, '-T', "$dir/file", '-w', '%{size_upload}',
        "http://127.0.0.1:$web/up"), '127.0.0.1 http /up-3000000',
        "$name: curl, upload");

    # one peer: each takes an allocation

    my $many = curl(@curl, qw/ -Z --parallel-max 20 --parallel-immediate /,
        map { "http://127.0.0.1:$web/$_" } 1 .. 40);
    is(scalar(() = $many =~ m!127\.0\.0\.1 http /\d+-!g), 40,
        "$name: curl, twenty at a time");

    like(curl(@curl, 'http://127.0.0.1:' . port(8099) . '/'),
        qr/^curl: \(97\)/, "$name: curl, refused");

    SKIP: {
        skip 'no sshd, or no nc that knows SOCKS5', 1 if !$ssh || !$nc;

        ok(output('ssh', @{$ssh->{options}}, '-o',
            "ProxyCommand=nc -X 5 -x 127.0.0.1:$proxy %h %p", '-p', $sshd,
            $ssh->{user}, "cat $dir/file") eq noise(3_000_000), "$name: ssh");
    }

    SKIP: {
        skip 'no proxychains4', 1 if !executable('proxychains4');

        is(output(proxychains($t, "socks5 127.0.0.1 $proxy"), 'curl', '-s',
            '--noproxy', '*', "http://web.example:$web/b"),
            'web.example http /b-', "$name: proxychains4");
    }

    SKIP: {
        skip 'no node, or no npm packages', 1 if !$node;

        # coturn stalls when much goes both ways at once, and loses what a
        # peer sends just before its end

        my $coturn = $name =~ /^coturn/;
        my $seen = websocket($t, "socks5://127.0.0.1:$proxy", port(8092),
            small => $coturn);
        my %wanted = (wrong => 0, pong => 'there?', messages => 14,
            bytes => 2262646, code => 4000, reason => 'enough');

        if ($coturn) {
            @wanted{qw/ messages bytes /} = (8, 504);
            delete @$_{qw/ code reason /} for $seen, \%wanted;
        }

        is_deeply($seen, \%wanted, "$name: WebSocket")
            or diag(explain($seen));
    }

    is(ask($proxy, "127.0.0.1:$dns", 'a.example'),
        "127.0.0.1:$dns 192.0.2.1 192.0.2.2", "$name: DNS");
}


sub curl {
    return output({ err => 1 }, 'curl', '-sS', @_);
}


sub ask {
    my ($proxy, $to, $name) = @_;
    my $u = socks_udp($proxy);

    return 'no association' if !$u->udp();
    my $m = $u->ask($to, dns_query($name, 'A')) or return 'no answer';

    return $m->{from} . ' ' . dns_answers($m->{data});
}
