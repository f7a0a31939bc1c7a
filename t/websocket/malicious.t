#!/usr/bin/perl

# Clients of a relay's WebSocket that break its rules: each is told by a close
# frame, nobody else notices, and nothing is left of them.

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

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_relay_websocket on;
        trp_relay_auth_timeout 3s;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run_daemon(\&websocket_bridge, port(8081), port(8443));
$t->run();
$t->waitforsocket('127.0.0.1:' . port(8081));

my $hello = client_hello('trp/2');

# what is sent after the upgrade, the code that is answered, what the log says

my @cases = (
    [ 'text', websocket_frame('hello', opcode => 1), 1003 ],
    [ 'no mask', websocket_frame($hello, mask => ''), 1002 ],
    [ 'a reserved bit', websocket_frame($hello, rsv => 4), 1002 ],
    [ 'a reserved opcode', websocket_frame($hello, opcode => 3), 1002 ],
    [ 'a ping in pieces', websocket_frame('', opcode => 9, fin => 0), 1002 ],
    [ 'a long ping', websocket_frame('x' x 126, opcode => 9), 1002 ],
    [ 'more of nothing', websocket_frame($hello, opcode => 0), 1002 ],
    [ 'a message in another', websocket_frame('', fin => 0)
        . websocket_frame(''), 1002 ],
    [ 'a negative length', websocket_frame('', len => -1, long => 8), 1002 ],
    [ 'half a code', websocket_frame('x', opcode => 8), 1002 ],
    [ 'close', websocket_frame(pack('n', 1001), opcode => 8), 1001,
        qr/peer closed WebSocket, code 1001/ ],
    [ 'close without a code', websocket_frame('', opcode => 8), '',
        qr/peer closed WebSocket, code 1005/ ],
    [ 'close in TLS', websocket_frame(substr $hello, 0, 100)
        . websocket_frame(pack('n', 1000), opcode => 8), 1000,
        qr/peer closed WebSocket, code 1000/ ],
    [ 'no end of empty frames', websocket_frame('') x 1_000_000, undef,
        qr/frames without end, but no data/ ],
    [ 'no end of pings', websocket_frame('x' x 100, opcode => 9) x 100_000,
        undef, qr/frames without end, but no data/ ],
);

$t->plan(2 * @cases + 8);

my $tunnel = Test::Nginx::TRP::Client->new(port => port(8081));
is($tunnel->login(key => $t->testdir() . '/any')->{type}, 'READY', 'a tunnel');

my ($worker) = worker_pids($t);
my $fds = fd_count($worker);

for my $case (@cases) {
    my ($name, $bytes, $code, $re) = @$case;

    my $got = closed_with($bytes);

    # a reset, if there is more than was read, may take the frame with it

    is($got, $code // $got, $name);

    $re ||= qr/peer sent an invalid WebSocket frame, closed with code $code/;
    ok(wait_log($t, qr/\[info\].*$re while SSL handshaking/), 'logged');
}

# those that do nothing, or never come to an end, have until the deadline

for my $bytes ('', websocket_frame('', len => 1 << 40, long => 8),
    "\x82\xff\0\0")
{
    my ($s) = websocket_open(port(8443));
    syswrite $s, $bytes;
    isnt(end_of($s), 'timeout', 'waits in vain');
}

# frames that do not wait for the answer

my $s = connect_to(port(8443));
syswrite $s, websocket_request() . websocket_frame($hello);
like(receive($s, 300, 5), qr!^HTTP/1.1 101 .*\r\n\r\n.*\x16\x03\x03!s,
    'frames in advance');
close $s;

# nothing is left, and the tunnel is still there

ok(wait_for(sub { fd_count($worker) <= $fds }), 'descriptors');
$tunnel->send('PING');
is($tunnel->read()->{type}, 'PONG', 'the tunnel');
is(count_log($t, qr/\[(?:warn|error|crit|alert)\]/), 0, 'nothing but info');


# the code of the close frame

sub closed_with {
    my ($bytes) = @_;
    my ($s, $in) = ((websocket_open(port(8443)))[0], '');

    local $SIG{PIPE} = 'IGNORE';
    syswrite $s, $bytes;

    while (1) {
        my $n = sysread $s, $in, 65536, length $in;
        last if !$n;
    }

    while (my ($opcode, $data) = websocket_read(\$in)) {
        next if $opcode != 8;
        return length $data ? unpack 'n', $data : '';
    }

    return 'nothing';
}
