#!/usr/bin/perl

# Tests for HTTP and WebSocket: keep-alive, pipelining, curl where there is one.

use strict;
use warnings;

use Test::More;

use Digest::SHA qw/ sha1 /;
use MIME::Base64 qw/ encode_base64 /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs qw/ output /;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:%%PORT_8093%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8090;

        location / {
            return 200 "$uri $connection_requests";
        }

        location /file {
        }
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

$reverse->write_file('file', noise(3_000_000));
$reverse->run_daemon(\&websocket, listener(port(8093)));

$relay->run();
$reverse->run();
$entry->run()->plan(10 + 2 * 2);

my $dir = $entry->testdir();
my $http = '127.0.0.1:' . port(8080);

# requests that do not wait for answers

my $s = connect_to(port(8080));
my $reply = http(join('', map { request("/$_") } 1 .. 20)
    . request('/last', "Connection: close\r\n"), socket => $s);

is(scalar(() = $reply =~ /HTTP\/1\.1 200 OK\r\n/g), 21, 'pipelined');
is(join(' ', $reply =~ m!(/\w+ \d+)(?=HTTP|\z)!g),
    join(' ', (map { "/$_ $_" } 1 .. 20), '/last 21'), 'answers in order');

SKIP: {
    my $curl = 'curl';
    skip 'no curl', 3 if output($curl, '-V') !~ /^curl/;

    my $out = output($curl, '-s', '-w', ' %{num_connects}\n',
        map { "http://$http/$_" } qw/ a b c /);
    is($out, "/a 1 1\n/b 2 0\n/c 3 0\n", 'curl keep-alive');

    output($curl, '-s', '-o', "$dir/download", "http://$http/file");
    ok($entry->read_file('download') eq noise(3_000_000), 'curl');

    is(output($curl, '-s', '-I', '-o', '/dev/null', '-w', '%{http_code}',
        "http://$http/none"), 200, 'curl HEAD');
}

# WebSocket: RFC 6455, section 1.3

$s = connect_to(port(8083));
print $s "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    . "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

like(headers($s), qr/^HTTP\/1.1 101 .*: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r/s,
    'WebSocket handshake');
is(frame($s, 1, 'SEE THIS'), 'SEE THIS', 'WebSocket frame');
is(frame($s, 2, noise(60_000)), noise(60_000), 'WebSocket long frame');
is(frame($s, 8, ''), '', 'WebSocket close');
is(end_of($s), 'eof', 'WebSocket end');


sub request {
    my ($uri, $header) = @_;
    $header = '' if !defined $header;
    return "GET $uri HTTP/1.1\r\nHost: localhost\r\n$header\r\n";
}


sub headers {
    my ($s) = @_;
    my $headers = '';

    while (my $line = <$s>) {
        $headers .= $line;
        last if $line eq "\r\n";
    }

    return $headers;
}


# sends a masked frame, returns what is in the answer

sub frame {
    my ($s, $opcode, $data) = @_;
    my $length = length $data;
    my $mask = pack 'N', 0x12345678;
    my $masked = $data ^ substr $mask x (1 + $length / 4), 0, $length;

    print $s pack('C', 0x80 | $opcode),
        $length < 126 ? pack('C', 0x80 | $length)
            : pack('Cn', 0x80 | 126, $length), $mask, $masked;

    read($s, my $header, 2);
    my $n = 0x7f & unpack 'xC', $header;

    if ($n == 126) {
        read($s, my $extended, 2);
        $n = unpack 'n', $extended;
    }

    my $reply = '';
    read($s, $reply, $n) if $n;
    return $reply;
}


sub websocket {
    my ($listener) = @_;

    while (my $s = $listener->accept()) {
        $s->autoflush(1);

        headers($s) =~ /^Sec-WebSocket-Key: (\S+)/mi or next;

        print $s "HTTP/1.1 101 Switching Protocols\r\n"
            . "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            . 'Sec-WebSocket-Accept: ' . encode_base64(
                sha1("${1}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), '')
            . "\r\n\r\n";

        while (read($s, my $header, 2)) {
            my ($opcode, $n) = unpack 'CC', $header;
            my $extended = '';

            $n &= 0x7f;
            read($s, $extended, 2) if $n == 126;
            $n = unpack 'n', $extended if $n == 126;

            read($s, my $mask, 4);
            my $data = '';
            read($s, $data, $n) if $n;
            $data ^= substr $mask x (1 + $n / 4), 0, $n;

            print $s substr($header, 0, 1),
                pack('C', $n < 126 ? $n : 126), $extended, $data;
            last if ($opcode & 15) == 8;
        }

        close $s;
    }
}
