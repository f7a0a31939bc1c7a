#!/usr/bin/perl

# Tests for curl with SOCKS5 over a tunnel: names, both families, passwords,
# HTTPS, and what it says when there is no way.

use strict;
use warnings;

use Test::More;

use IO::Socket::IP;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;

my $t = Test::Nginx->new()->has(qw/ http http_ssl stream stream_ssl /)
    ->has_daemon('curl');

plan(skip_all => 'no IPv6 on the loopback')
    if !IO::Socket::IP->new(Proto => 'udp', LocalHost => '::1');

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    log_format socks '$trp_destination $trp_status <$trp_socks5_user>';
    access_log off;

    server {
        listen 127.0.0.1:8080;
        listen [::1]:%%PORT_8080%%;

        trp_socks5;
        trp_socks5_deny secret.example all:25;

        proxy_pass relay;
        access_log %%TESTDIR%%/socks.log socks;
    }

    server {
        listen 127.0.0.1:8081;

        trp_socks5;
        trp_socks5_user alice:secret;
        trp_socks5_user "bob:a long password, with blanks";

        proxy_pass relay;
        access_log %%TESTDIR%%/socks.log socks;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        resolver 127.0.0.1:%%PORT_8982_UDP%%;
        trp_reverse_allow 127.0.0.1 [::1] web.example six.example;

        proxy_pass $trp_destination;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    client_max_body_size 10m;
    client_body_buffer_size 10m;

    server {
        listen 127.0.0.1:8090;
        listen [::1]:%%PORT_8090%%;
        listen 127.0.0.1:8091 ssl;

        ssl_certificate web.crt;
        ssl_certificate_key web.key;

        location / {
            return 200 "$host $scheme $server_addr $request_uri";
        }

        location /file {
            alias %%TESTDIR%%/file;
        }
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry'),
    trp_keys($t, 'reverse'));

trp_ca($t, 'ca');
trp_issue($t, 'ca', 'web', names => 'DNS:web.example');

name_server($t, port(8982, udp => 1), 'web.example' => '127.0.0.1',
    'six.example' => '::1');

$t->write_file('file', noise(3_000_000));
$t->run()->plan(25);

my ($proxy, $closed, $dir) = (port(8080), port(8081), $t->testdir());
my ($web, $tls) = (port(8090), port(8091));
my @far = ('--socks5-hostname', "127.0.0.1:$proxy");
my @near = ('--socks5', "127.0.0.1:$proxy");

# names are resolved far away, addresses go as they are

is(curl(@far, "http://web.example:$web/a"), 'web.example http 127.0.0.1 /a',
    'name');
is(curl(@far, "http://six.example:$web/a"), 'six.example http ::1 /a',
    'name with an IPv6 address');
is(curl(@far, "http://127.0.0.1:$web/"), '127.0.0.1 http 127.0.0.1 /', 'IPv4');
is(curl(@far, "http://[::1]:$web/"), '[::1] http ::1 /', 'IPv6');
is(curl(@near, "http://near.example:$web/", '--resolve',
    "near.example:$web:127.0.0.1"), 'near.example http 127.0.0.1 /',
    'name resolved here, IPv4');
is(curl(@near, "http://near.example:$web/", '--resolve',
    "near.example:$web:[::1]"), 'near.example http ::1 /',
    'name resolved here, IPv6');
is(curl('-x', "socks5h://[::1]:$proxy", "http://web.example:$web/"),
    'web.example http 127.0.0.1 /', 'proxy at an IPv6 address');

ok(wait_log($t, qr/^\Q$_\E ok <->$/, file => 'socks.log'), "log: $_")
    for "web.example:$web", "[::1]:$web";

# HTTPS

is(curl(@far, '--cacert', "$dir/ca.crt", "https://web.example:$tls/"),
    'web.example https 127.0.0.1 /', 'HTTPS');
curl(@far, '--cacert', "$dir/localhost.crt", "https://web.example:$tls/");
is($? >> 8, 60, 'HTTPS, not to be trusted');

# data

ok(curl(@far, "http://web.example:$web/file") eq noise(3_000_000),
    'download');
is(curl(@far, '-T', "$dir/file", '-w', ' %{size_upload}',
    "http://web.example:$web/up"),
    'web.example http 127.0.0.1 /up 3000000', 'upload');
is(curl(@far, '-w', ' %{num_connects}\n', map { "http://web.example:$web/$_" }
    1 .. 3), join('', map { "web.example http 127.0.0.1 /$_ "
    . ($_ == 1 ? 1 : 0) . "\n" } 1 .. 3), 'keep-alive');

my $many = curl(@far, qw/ -Z --parallel-max 20 --parallel-immediate /,
    map { "http://web.example:$web/$_-" } 1 .. 40);
is(scalar(() = $many =~ m!web\.example http 127\.0\.0\.1 /\d+-!g), 40,
    'forty, twenty at a time');

# name and password

is(curl('-x', "socks5h://127.0.0.1:$closed", '--proxy-user', 'alice:secret',
    "http://web.example:$web/"), 'web.example http 127.0.0.1 /', 'password');
is(curl('--socks5-hostname', "127.0.0.1:$closed", '--proxy-user',
    'bob:a long password, with blanks', "http://web.example:$web/"),
    'web.example http 127.0.0.1 /', 'another user');
ok(wait_log($t, qr/^web\.example:$web ok <bob>$/, file => 'socks.log'),
    'log: user');

like(curl('--socks5-hostname', "127.0.0.1:$closed", '--proxy-user',
    'alice:guess', "http://web.example:$web/"),
    qr/^curl: \(97\) User was rejected by the SOCKS5 server/m,
    'wrong password');
like(curl('--socks5-hostname', "127.0.0.1:$closed",
    "http://web.example:$web/"), qr/^curl: \(97\) /m, 'no password');

# no way: curl shows the reply

for my $case (
    [ 5, 'refused', '127.0.0.1:' . port(8099) ],
    [ 4, 'no such name', "none.web.example:$web" ],
    [ 2, 'not allowed by the reverse', "127.0.0.2:$web" ],
    [ 2, 'not allowed here', "secret.example:$web" ],
    [ 2, 'port not allowed here', '127.0.0.1:25' ])
{
    my ($reply, $what, $to) = @$case;

    like(curl(@far, "http://$to/"), qr/^curl: \(97\).*\($reply\)/m, $what);
}


sub curl {
    return output({ err => 1 }, 'curl', '-sS', @_);
}
