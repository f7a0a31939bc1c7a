#!/usr/bin/perl

# Reverses behind the proxies of Debian, each in a group of its own, and what
# they say when the proxy does not want them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Proxies;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# where the files of a second tinyproxy are

my $other = Test::Nginx->new();

relay_conf($relay, 8443);

# a proxy, and how to start it

my @works = (
    [ "http://127.0.0.1:8200", sub { tinyproxy($reverse, port(8200)) } ],
    [ "http://alice:secret\@127.0.0.1:8201",
        sub { tinyproxy($other, port(8201), auth => 1) } ],
    [ "socks5://127.0.0.1:8202", sub { dante($reverse, port(8202)) } ],
    [ "socks5://alice:secret\@127.0.0.1:8203",
        sub { microsocks($reverse, port(8203), auth => 1) } ],
    [ "socks5://alice:secret\@localhost:%%PORT_8202%%", sub { 1 } ],
    [ "https://alice:secret\@127.0.0.1:8204", sub { 1 } ],
    [ "http://alice:secret\@localhost:%%PORT_8205%%", sub {
        squid($reverse, port(8205), auth => 'basic', deny => port(8445)) } ],
    [ "socks5://[::1]:%%PORT_8206%%",
        sub { microsocks($reverse, port(8206), host => '::1') } ],
);

# and those that refuse; 8444 is a port at which nothing listens

my $closed = port(8444);

my @fails = (
    [ "http://127.0.0.1:8200", 8444,
        qr/answered "5\d\d [^"]+" to CONNECT 127\.0\.0\.1:$closed/ ],
    [ "http://127.0.0.1:8201", 8443,
        qr/answered 407, it wants authentication \(Basic realm=[^)]*\), write/ ],
    [ "http://alice:wrong\@127.0.0.1:8201", 8443,
        qr/answered "?40[17]/ ],
    [ "socks5://127.0.0.1:8202", 8444,
        qr/answered 5 \(connection refused\) to CONNECT 127\.0\.0\.1:$closed/ ],
    [ "socks5://alice:wrong\@127.0.0.1:8203", 8443,
        qr/ does not accept user "alice" with this password/ ],
    [ "socks5://127.0.0.1:8203", 8443,
        qr/ wants authentication \(another method\), write the user/ ],
    [ "http://alice:wrong\@127.0.0.1:8205", 8443,
        qr/answered 407, it does not accept user "alice" with this/ ],
    [ "http://alice:secret\@127.0.0.1:8205", 8444,
        qr/answered "503 [^"]*ERR_CONNECT_FAIL[^"]*" to CONNECT/ ],
    [ "http://alice:secret\@127.0.0.1:8205", 8445,
        qr/answered "403 [^"]*ERR_ACCESS_DENIED[^"]*" to CONNECT/ ],
    [ "http://127.0.0.1:8202", 8443,
        qr/ closed the connection without an answer/ ],
    [ "socks5://127.0.0.1:8205", 8443,
        qr/ timed out| closed the connection| does not speak SOCKS5/ ],
);

my ($n, $upstreams, $reverses, $entries, $routes) = (0, '', '', '', '');

for (@works) {
    my $user = 8100 + $n;

    $reverses .= <<"EOC";
    server {
        trp_reverse relay;
        trp_reverse_group g$n;
        trp_reverse_proxy $_->[0];
        proxy_half_close on;
        proxy_pass \$trp_destination;
    }
EOC
    $entries .= <<"EOC";
    upstream g$n {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group g$n;
        trp_entry_key entry;
        trp_entry_pool idle=1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }
    server {
        trp_route %%PORT_$user%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass g$n;
    }
EOC
    $n++;
}

$n = 0;

for (@fails) {
    $reverses .= <<"EOC";
    upstream f$n {
        server 127.0.0.1:$_->[1];
    }
    server {
        trp_reverse f$n;
        trp_reverse_group f$n;
        trp_reverse_proxy $_->[0];
        proxy_pass \$trp_destination;
    }
EOC
    $n++;
}

my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
EOC

$entry->write_file_expand('nginx.conf', "$head$entries\n}\n");

$reverse->write_file_expand('nginx.conf', <<"EOC");
$head
    trp_reverse_key reverse;
    trp_reverse_pool idle=2;
    trp_reverse_connect_timeout 4s;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_proxy_ssl_trusted_certificate localhost.crt;
    trp_reverse_proxy_ssl_name localhost;

    upstream relay {
        server 127.0.0.1:8443;
    }

    # an HTTP proxy that speaks TLS

    server {
        listen 127.0.0.1:8204 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        proxy_pass 127.0.0.1:8205;
    }

$reverses
}
EOC

trp_cert($relay, $entry, $reverse);
$reverse->write_file('localhost.key', $relay->read_file('localhost.key'));
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

for (@works) {
    $_->[1]->() or plan(skip_all => "no proxy for $_->[0]");
}

$_->run() for $relay, $reverse, $entry;
$relay->plan(2 * @works + @fails + 3 * 2);

$n = 0;

for (@works) {
    ok(wait_log($reverse, qr/ tunnel is ready.*, group: "g$n"/, count => 2),
        "tunnels by $_->[0]");
    ok(visit(port(8100 + $n), bytes => 300_000), 'a user');
    $n++;
}

$n = 0;

for (@fails) {
    ok(wait_log($reverse, qr/\[error\].* proxy .*$_->[2].*, group: "f$n"/),
        "$_->[0] to $_->[1]")
        or diag(join "\n", grep { /group: "f$n"/ && !/\[debug\]/ } split /\n/,
            $reverse->read_file('error.log'));
    $n++;
}
