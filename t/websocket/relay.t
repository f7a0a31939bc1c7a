#!/usr/bin/perl

# A relay whose port takes TLS and WebSockets: requests of all kinds, and TLS in
# frames of all kinds.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::WebSocket;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols TLSv1.3;
    trp_authorized_keys authorized_keys;

    server {
        listen 127.0.0.1:8443 ssl;
        trp_relay;
        trp_relay_websocket on;
    }

    server {
        listen 127.0.0.1:8444 ssl;
        trp_relay;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));

my %bridges = (
    8081 => { },
    8082 => { frame => \&pieces },
    8083 => { frame => \&pieces, chunk => 1 },
    8084 => { headers => { Connection => 'keep-alive, upgrade',
        Upgrade => 'WebSocket' }, protocol => [ 'x', 'trp.2' ] },
    8085 => { frame => sub { websocket_frame($_[0], mask => "\0" x 4) } },
    8086 => { frame => sub { websocket_frame($_[0], long => 8) } },
);

for (sort keys %bridges) {
    $t->run_daemon(\&websocket_bridge, port($_), port(8443), %{$bridges{$_}});
}

$t->run();
$t->waitforsocket('127.0.0.1:' . port($_)) for keys %bridges;

my $dir = $t->testdir();
my @wrong = (
    [ 426, headers => { Upgrade => undef } ],
    [ 426, headers => { Upgrade => 'h2c' } ],
    [ 426, headers => { Connection => undef } ],
    [ 426, headers => { Connection => 'close' } ],
    [ 426, headers => { 'Sec-WebSocket-Version' => 8 } ],
    [ 400, headers => { 'Sec-WebSocket-Key' => undef } ],
    [ 400, headers => { 'Sec-WebSocket-Key' => 'abc' } ],
    [ 400, headers => { 'Sec-WebSocket-Protocol' => undef } ],
    [ 400, protocol => [ 'chat' ] ],
    [ 400, headers => { "A\r\n folded" => 'b' } ],
    [ 405, method => 'POST' ],
    [ 505, version => 'HTTP/1.0' ],
    [ 400, version => 'HTTP/2.0' ],
    [ 431, headers => { Cookie => 'c' x 17000 } ],
);

$t->plan(4 * (keys(%bridges) + 1) + 2 * @wrong + 6);

# tunnels

login($_) for 8443, sort keys %bridges;

# the request in pieces, and the answer

my $s = IO::Socket::INET->new('127.0.0.1:' . port(8443));

for (split //, websocket_request(path => '/a/b?c')) {
    syswrite $s, $_;
}

my $answer = '';
sysread $s, $answer, 1, length $answer until $answer =~ /\r\n\r\n/;

like($answer, qr!^HTTP/1.1 101 Switching Protocols\r\n!, 'in pieces');
like($answer, qr!\r\nSec-WebSocket-Accept: \Q@{[
    websocket_accept('MDEyMzQ1Njc4OWFiY2RlZg==') ]}\E\r\n!, 'accept');
like($answer, qr!\r\nSec-WebSocket-Protocol: trp\.2\r\n!, 'protocol');
close $s;

# requests that are refused

for my $case (@wrong) {
    my ($status, @opts) = @$case;

    ($s, $answer) = websocket_open(port(8443), @opts);
    like($answer, qr!^HTTP/1.1 $status !, "answer $status");
    is(end_of($s), $status == 431 ? 'reset' : 'eof', 'closed');
}

# where it is off

($s, $answer) = websocket_open(port(8444));
is($answer, '', 'off');
ok(wait_log($t, qr/does not speak TLS, this looks like HTTP while/),
    'off, logged');

is(count_log($t, qr/\[(?:warn|error|crit|alert)\]/), 0, 'nothing but info');


sub login {
    my ($port) = @_;
    my $data = join '', map { chr rand 256 } 1 .. 16380;

    my @c = map {
        my $c = Test::Nginx::TRP::Client->new(port => port($port));
        is($c->login(key => "$dir/any", group => "g$port", role => $_)->{type},
            'READY', "$port: $_");
        $c;
    } qw/ reverse entry /;

    $c[1]->send('OPEN', open_payload(port => 80));
    ok($c[0]->expect('OPEN'), 'paired');
    $c[0]->send('ACCEPT', '');
    $c[1]->expect('ACCEPT');

    $c[0]->send('DATA', $data) for 1 .. 20;

    my $same = 0;
    for (1 .. 20) {
        my $frame = $c[1]->expect('DATA') or last;
        $same += length $frame->{payload};
    }

    is($same, 20 * 16380, 'data');
}


# a message in several frames, with others in between

sub pieces {
    my ($data) = @_;

    my $n = int(length($data) / 3);
    my @parts = (substr($data, 0, $n), '', substr($data, $n, $n),
        substr $data, 2 * $n);

    return join '',
        websocket_frame('', opcode => 9),
        websocket_frame($parts[0], fin => 0, mask => "abcd"),
        websocket_frame('ping' x 30, opcode => 9),
        websocket_frame($parts[1], fin => 0, opcode => 0),
        websocket_frame($parts[2], fin => 0, opcode => 0, long => 8),
        websocket_frame('pong', opcode => 10, mask => "\0\0\0\0"),
        websocket_frame($parts[3], opcode => 0, long => 2);
}
