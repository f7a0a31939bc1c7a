#!/usr/bin/perl

# Web servers that do not open a WebSocket, or break its rules: the agent says
# what was wrong, and dials again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebSocket;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
my $protocol = "Sec-WebSocket-Protocol: trp.2\r\n";
my $wrong = 'web server\'s answer opens no WebSocket for "trp\.2": does "/%d"';
my $frame = 'peer sent an invalid WebSocket frame, closed with code';

# what is answered, where A is the line with the right value; what the log says

my @cases = (
    [ '', 'web server closed connection, in place of opening a WebSocket' ],
    [ "SSH-2.0-x\r\n", 'no HTTP answer, it begins with "SSH-2\.0-x' ],
    [ "HTTP/1.1 200 OK\r\n\r\n", '"/%d" with status 200, in place of 101' ],
    [ "HTTP/1.1 404 Not Found\r\n\r\n", 'status 404, .*: is the path right\?' ],
    [ "HTTP/1.1 502 Bad Gateway\r\n\r\n", 'status 502, .*does it reach the' ],
    [ "HTTP/1.1 426 Upgrade\r\n\r\n", 'status 426, .*does it pass on the' ],
    [ "HTTP/1.1 200 OK\r\nA: " . 'a' x 9000, 'sent a too long HTTP answer' ],
    [ "HTTP/1.1 101 OK\r\n\r\n", $wrong ],
    [ "HTTP/1.1 101 OK\r\n$upgrade$protocol\r\n", $wrong ],
    [ "HTTP/1.1 101 OK\r\n$upgrade${protocol}Sec-WebSocket-Accept: x\r\n\r\n",
        $wrong ],
    [ "HTTP/1.1 101 OK\r\n${upgrade}A\r\n\r\n", $wrong ],
    [ "HTTP/1.1 101 OK\r\n${upgrade}Sec-WebSocket-Protocol: chat\r\nA\r\n\r\n",
        $wrong ],
    [ "HTTP/1.1 101 OK\r\n$upgrade${protocol}Sec-WebSocket-Extensions: x\r\n"
        . "A\r\n\r\n", $wrong ],
    [ "F" . websocket_frame('x', mask => '', opcode => 1), "$frame 1003" ],
    [ "F" . websocket_frame('x'), "$frame 1002" ],
    [ "F" . websocket_frame('x', mask => '', rsv => 1), "$frame 1002" ],
    [ "F" . websocket_frame('x', mask => '', len => -1, long => 8),
        "$frame 1002" ],
    [ "F" . websocket_frame(pack('n a*', 1011, 'why'), mask => '',
        opcode => 8), 'peer closed WebSocket, code 1011' ],
    [ "F" . websocket_frame('x' x 20, mask => ''),
        'does not speak TLS, it begins with "xxxxx"' ],
    [ "F" . websocket_frame('', mask => '', fin => 0) x 40000,
        "$frame 1002" ],
);

my $servers = join '', map { <<"EOC" } 0 .. $#cases;
    upstream relay$_ {
        server 127.0.0.1:%%PORT_8443%%;
        trp_entry;
        trp_entry_pool idle=1 max=1;
        trp_entry_websocket ws://127.0.0.1:%%PORT_8081%%/$_;
    }

    server {
        trp_route 127.0.0.2:@{[ 9000 + $_ ]}:80 bind=127.0.0.1;
        proxy_pass relay$_;
    }

EOC

$servers =~ s/trp_route 127\.0\.0\.2:(\d+):80 bind/trp_route $1:80 bind/g;

$t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_entry_key key;
    trp_entry_ssl_trusted_certificate localhost.crt;

$servers}

EOC

trp_cert($t);
trp_keys($t, 'key');

$t->run_daemon(\&web_server, port(8081));
$t->waitforsocket('127.0.0.1:' . port(8081));
$t->run();
$t->plan(2 * @cases + 1);

for my $i (0 .. $#cases) {
    my ($answer, $text) = @{$cases[$i]};
    my $re = $text =~ s/%d/$i/r;

    ok(wait_log($t, qr/$re/), $text);
    ok(wait_log($t, qr/$i again/, file => 'served'), 'dialled again');
}

is(count_log($t, qr/\[(?:crit|alert)\]|sanitizer/i), 0, 'nothing worse');


sub web_server {
    my ($port) = @_;
    my %seen;

    my $server = IO::Socket::INET->new(Listen => 128, ReuseAddr => 1,
        LocalAddr => "127.0.0.1:$port") or die "can't listen: $!\n";

    local $SIG{PIPE} = 'IGNORE';

    while (my $c = $server->accept()) {
        my $head = '';

        while ($head !~ /\r\n\r\n/) {
            sysread $c, $head, 1000, length $head or last;
        }

        my ($i) = $head =~ m!^GET /(\d+) ! or next;
        my ($key) = $head =~ /^Sec-WebSocket-Key: (\S+)/m;
        my $accept = 'Sec-WebSocket-Accept: ' . websocket_accept($key);
        my $answer = $cases[$i][0];

        $answer =~ s/^A\r/$accept\r/m;
        $answer =~ s/^F/HTTP\/1.1 101 OK\r\n$upgrade$protocol$accept\r\n\r\n/;

        open my $fh, '>>', $t->testdir() . '/served';
        print $fh "$i again\n" if $seen{$i}++;
        close $fh;

        syswrite $c, $answer;
        shutdown $c, 1;

        my $select = IO::Select->new($c);
        1 while $select->can_read(0.05) && sysread $c, my $rest, 65536;
    }
}
