#!/usr/bin/perl

# Proxies that do everything wrong: each agent says in one line what is wrong,
# tries again, and at last comes through; bytes behind an answer are the relay's.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Proxies;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

my $basic = "Proxy-Authenticate: Basic realm=\"r\"\r\n";
my $digest = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n\","
    . " qop=\"auth\"\r\n";
my $empty = "Content-Length: 0\r\n\r\n";
my $stale = "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"r\","
    . " nonce=\"%d\", qop=\"auth\", stale=true\r\n$empty";

sub say { my ($client, $text) = @_; syswrite $client, $text; }
sub hang { 1 while sysread $_[0], my $buf, 4096; }

# answers to one header, and then the end of the connection

sub answering {
    my ($text) = @_;
    return sub { head_of($_[0]); say($_[0], $text) };
}

# what each says and does, and what is in the log

my @proxies = (
    [ 'silent', sub { hang($_[0]) }, 'proxy %s timed out' ],
    [ 'silent, reads', sub { 1 while head_of($_[0]); hang($_[0]); },
        'proxy %s timed out' ],
    [ 'half', sub { head_of($_[0]); say($_[0], "HTTP/1.1 200 OK\r\nA");
        hang($_[0]); }, 'proxy %s timed out' ],
    [ 'half, closes', answering("HTTP/1.1 200 OK\r\nA"),
        'proxy %s closed the connection without an answer' ],
    [ 'drips', sub { head_of($_[0]); say($_[0], "HTTP/1.1 200 OK\r\n");
        while (1) { say($_[0], 'a') or return; select undef, undef, undef, .1;
        } }, 'proxy %s timed out' ],
    [ 'closes', sub { }, 'proxy %s closed the connection without an answer' ],
    [ 'resets', sub { head_of($_[0]); abort($_[0]) },
        'proxy %s closed the connection without an answer' ],
    [ 'megabytes', sub { head_of($_[0]); say($_[0], "HTTP/1.1 200 OK\r\n");
        1 while say($_[0], 'A: ' . 'a' x 1000 . "\r\n"); },
        'proxy %s sent a header that is too long' ],
    [ 'long line', sub { head_of($_[0]); say($_[0], "HTTP/1.1 200 OK\r\nA: ");
        1 while say($_[0], 'a' x 1000); },
        'proxy %s sent a header that is too long' ],
    [ 'forbidden', answering("HTTP/1.1 403 Not for you\r\n\r\n"),
        'proxy %s answered "403 Not for you" to CONNECT 127.0.0.1:\d+' ],
    [ 'bad gateway', answering("HTTP/1.1 502 Bad Gateway\r\n"
        . "Proxy-Status: proxy; error=connection_refused\r\n\r\n"),
        'proxy %s answered "502 Bad Gateway, proxy; error=connection_refused" '
        . 'to CONNECT' ],
    [ 'escapes', answering("HTTP/1.1 500 \x1b[2J\"\r\n\r\n"),
        'proxy %s answered "500 .x1B\[2J.x22" to CONNECT' ],
    [ 'not HTTP', answering("SSH-2.0-OpenSSH\r\n"),
        'proxy %s does not speak HTTP, it begins with "SSH-2.0-", '
        . 'this looks like SSH' ],
    [ 'rubbish', answering("HTTP/1.1 OK\r\n\r\n"),
        'proxy %s sent an invalid answer' ],
    [ '407 for ever', sub { while (head_of($_[0])) {
        say($_[0], "HTTP/1.1 407 No\r\n$basic$empty"); } },
        'proxy %s answered 407, it does not accept user "alice" with this '
        . 'password, Basic realm=' ],
    [ '407 for ever, closes', answering(
        "HTTP/1.1 407 No\r\n${basic}Connection: close\r\n\r\n"),
        'proxy %s answered 407, it does not accept user "alice"' ],
    [ 'wrong Digest', sub { while (head_of($_[0])) {
        say($_[0], "HTTP/1.1 407 No\r\n$digest$empty"); } },
        'proxy %s answered 407, it does not accept user "alice" with this '
        . 'password, Digest realm=' ],
    [ 'stale for ever', sub { my $n = 0; while (head_of($_[0])) {
        say($_[0], sprintf $stale, $n++); } },
        'proxy %s answered 407, it does not accept user "alice"' ],
    [ 'Negotiate', answering("HTTP/1.1 407 No\r\n"
        . "Proxy-Authenticate: Negotiate\r\n\r\n"),
        'proxy %s answered 407, it wants authentication by a method that is '
        . 'not supported \(Negotiate\), only Basic and Digest are' ],
    [ '407 and no end', sub { head_of($_[0]); say($_[0],
        "HTTP/1.1 407 No\r\n${basic}Content-Length: 5000\r\n\r\n"); hang($_[0]) },
        'proxy %s timed out' ],
    [ 'TLS', answering("\x15\x03\x03\x00\x02\x02\x46"),
        'proxy %s does not speak HTTP, it begins with ".*", this looks like '
        . 'TLS' ],
    [ 'nothing', undef, 'connect\(\) to proxy %s failed \(111: '
        . 'Connection refused\)' ],
);

# these work, each in its way

my $to = '127.0.0.1:' . port(8443);
my $ok = "HTTP/1.1 200 OK\r\n\r\n";

my @working = (
    [ 'byte by byte', sub { head_of($_[0]); for (split //, $ok) {
        say($_[0], $_); select undef, undef, undef, .01; }
        relay_bytes($_[0], $to); } ],
    [ 'keep-alive', sub { head_of($_[0]); say($_[0], "HTTP/1.1 407 No\r\n"
        . "${basic}Content-Length: 9\r\n\r\ngo away\r\n");
        my $head = head_of($_[0]) or return;
        $head =~ /^Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\r$/m or return;
        say($_[0], $ok); relay_bytes($_[0], $to); } ],
    [ 'keeps, but closes', sub { my $head = head_of($_[0]);
        if ($head !~ /^Proxy-Authorization/m) {
            say($_[0], "HTTP/1.1 407 No\r\n$basic$empty"); return; }
        say($_[0], $ok); relay_bytes($_[0], $to); } ],
    [ 'closes in the body', sub { my $head = head_of($_[0]);
        if ($head !~ /^Proxy-Authorization/m) {
            say($_[0], "HTTP/1.1 407 No\r\n${basic}Content-Length: 50\r\n\r\n"
                . 'go away'); return; }
        say($_[0], $ok); relay_bytes($_[0], $to); } ],
    [ 'closes', sub { my $head = head_of($_[0]);
        if ($head !~ /^Proxy-Authorization: Digest .*nc=0000000\d/m) {
            say($_[0], "HTTP/1.0 407 No\r\n$basic$digest\r\n"); return; }
        say($_[0], $ok); relay_bytes($_[0], $to); } ],
    [ 'interim', sub { head_of($_[0]);
        say($_[0], "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n"
            . "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        relay_bytes($_[0], $to); } ],
);

my ($n, $upstreams, $servers) = (0, '', '');

# a relay's connection for each proxy, as the upstream's group

for (@proxies, @working) {
    my $port = 8200 + $n;

    $upstreams .= "    upstream u$n { server 127.0.0.1:8443; }\n";
    $servers .= <<"EOC";
    server {
        trp_reverse u$n;
        trp_reverse_name r$n;
        trp_reverse_proxy http://alice:secret\@127.0.0.1:$port;
        proxy_pass \$trp_destination;
    }
EOC

    $n++;
}

$reverse->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_connect_timeout 2s;
    trp_reverse_pool idle=1 max=1;

$upstreams
$servers
}

EOC

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

$n = 0;

for (@proxies, @working) {
    proxy($reverse, port(8200 + $n), $_->[1]) if $_->[1];
    $n++;
}

$relay->run();
$reverse->run();
$relay->plan(@proxies + @working + 2 + 2);

$n = 0;

for (@proxies) {
    my ($name, $code, $text) = @$_;
    my $addr = '127\.0\.0\.1:' . port(8200 + $n);

    $text =~ s/%s/$addr/;

    ok(wait_log($reverse, qr/\[error\] .*$text.*, relay: .*, name: "r$n"/),
        "$name");
    $n++;
}

for (@working) {
    ok(wait_log($reverse, qr/ tunnel is ready.*, name: "r$n"/),
        "works: $_->[0]");
    $n++;
}

# one line for each, as the others are at level "info"; nothing is left open

$n = 0;
my @errors = map { my $i = $n++; count_log($reverse,
    qr/\[error\] .*, name: "r$i".*there is no tunnel yet/) } @proxies;

is("@errors", join(' ', (1) x @proxies), 'told once each');
cmp_ok(fd_count(worker_pids($reverse)), '<', 200, 'no descriptors are lost');
