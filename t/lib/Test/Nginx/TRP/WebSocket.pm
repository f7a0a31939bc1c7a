package Test::Nginx::TRP::WebSocket;

# WebSockets in Perl, right or wrong: a client for tests of the relay, and what
# is between an agent and a relay, which turns the bytes of TLS into frames, as
# a test wants them.
#
#     $t->run_daemon(\&websocket_bridge, port(8090), port(8443));
#     my $c = Test::Nginx::TRP::Client->new(port => port(8090));

use strict;
use warnings;

use Digest::SHA qw/ sha1_base64 /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw/ encode_base64 /;
use Socket qw/ IPPROTO_TCP TCP_NODELAY /;

our @EXPORT = qw/ websocket_accept websocket_bridge websocket_frame
    websocket_open websocket_read websocket_request /;
our @EXPORT_OK = qw/ bridge_one /;

my $KEY = encode_base64('0123456789abcdef', '');


sub websocket_accept {
    my ($key) = @_;

    return sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
}


# The request of an agent.  Options: method, path, version, protocol (a list),
# headers that replace those of the same name, or with undef remove them.

sub websocket_request {
    my (%opts) = @_;

    my %headers = (
        Host => 'localhost',
        Upgrade => 'websocket',
        Connection => 'Upgrade',
        'Sec-WebSocket-Key' => $KEY,
        'Sec-WebSocket-Version' => 13,
        'Sec-WebSocket-Protocol' => join(', ', @{$opts{protocol}
            || [ 'trp.2' ]}),
        %{$opts{headers} || {}},
    );

    return join('', ($opts{method} || 'GET') . ' ' . ($opts{path} || '/')
        . ' ' . ($opts{version} || 'HTTP/1.1') . "\r\n",
        map({ "$_: $headers{$_}\r\n" }
            grep { defined $headers{$_} } sort keys %headers), "\r\n");
}


# a connection, and the header of the answer; options also: port, header (bytes
# before)

sub websocket_open {
    my ($port, %opts) = @_;

    my $s = IO::Socket::INET->new("127.0.0.1:$port") or return;
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;

    syswrite $s, ($opts{header} // '') . websocket_request(%opts);

    my $answer = '';

    # not a byte of what follows

    until ($answer =~ /\r\n\r\n/) {
        IO::Select->new($s)->can_read(20) or last;
        sysread($s, $answer, 1, length $answer) or last;
    }

    return ($s, $answer);
}


# Options: opcode (2), fin (1), rsv, mask (4 bytes, or '' for none), len (what
# the header says), long (the number of bytes of the length)

sub websocket_frame {
    my ($data, %opts) = @_;

    my $len = $opts{len} // length $data;
    my $mask = $opts{mask} // "\x12\x34\x56\x78";
    my $long = $opts{long} // ($len < 126 ? 0 : $len < 65536 ? 2 : 8);

    return pack('C C', (($opts{fin} // 1) ? 0x80 : 0) | ($opts{rsv} // 0) << 4
            | ($opts{opcode} // 2),
            (length $mask ? 0x80 : 0)
            | ($long == 8 ? 127 : $long == 2 ? 126 : $len))
        . ($long == 8 ? pack 'Q>', $len : $long == 2 ? pack 'n', $len : '')
        . $mask . ($mask eq '' ? $data : _masked($data, $mask));
}


sub _masked {
    my ($data, $mask) = @_;
    my $n = length $data;

    return $data ^ substr $mask x ($n / 4 + 1), 0, $n;
}


# takes a frame from a buffer: opcode, data, fin; nothing if it is incomplete

sub websocket_read {
    my ($buffer) = @_;

    return if length $$buffer < 2;

    my ($first, $len) = unpack 'C C', $$buffer;
    my $masked = $len & 0x80;
    my $pos = 2;

    $len &= 0x7f;

    if ($len == 126) {
        return if length $$buffer < 4;
        $len = unpack 'x2 n', $$buffer;
        $pos = 4;

    } elsif ($len == 127) {
        return if length $$buffer < 10;
        $len = unpack 'x2 Q>', $$buffer;
        $pos = 10;
    }

    my $mask = $masked ? substr $$buffer, $pos, 4 : '';
    $pos += length $mask;

    return if length $$buffer < $pos + $len;

    my $data = substr $$buffer, $pos, $len;
    substr($$buffer, 0, $pos + $len) = '';

    return ($first & 0x0f, $masked ? _masked($data, $mask) : $data,
        $first >> 7);
}


# A program that listens on one port, and speaks as a client of a WebSocket to
# the other one.  Options are those of websocket_request(), and
#
#     frame   a function that makes frames of bytes
#     chunk   how many bytes are written at once to the WebSocket

sub websocket_bridge {
    my ($listen, $port, %opts) = @_;

    my $server = IO::Socket::INET->new(Listen => 128, ReuseAddr => 1,
        LocalAddr => "127.0.0.1:$listen") or die "can't listen: $!\n";

    local $SIG{CHLD} = 'IGNORE';

    while (my $c = $server->accept()) {
        my $pid = fork;
        next if $pid;

        close $server;
        _bridge($c, $port, %opts);
        exit 0;
    }
}


# the same for the first connection to a socket that listens

sub bridge_one {
    my ($server, $port, %opts) = @_;
    my $c = $server->accept() or return;

    _bridge($c, $port, %opts);
}


sub _bridge {
    my ($c, $port, %opts) = @_;
    my ($s, $answer) = websocket_open($port, %opts);

    return if !$s || $answer !~ m!^HTTP/1.1 101 !;

    setsockopt $c, IPPROTO_TCP, TCP_NODELAY, 1;

    my $frame = $opts{frame} || \&websocket_frame;
    my $select = IO::Select->new($c, $s);
    my $in = '';

    for ( ;; ) {
        for my $ready ($select->can_read()) {
            if ($ready == $c) {
                sysread($c, my $data, 65536) or return;
                _write($s, $frame->($data), $opts{chunk});
                next;
            }

            sysread($s, $in, 65536, length $in) or return;

            while (my ($opcode, $data) = websocket_read(\$in)) {
                return if $opcode == 8;
                _write($c, $data) if $opcode == 2 || $opcode == 0;
                _write($s, websocket_frame($data, opcode => 10))
                    if $opcode == 9;
            }
        }
    }
}


sub _write {
    my ($s, $data, $chunk) = @_;

    for (my $pos = 0; $pos < length $data; ) {
        my $n = syswrite $s, $data, $chunk || length($data) - $pos, $pos;

        exit 1 if !$n;
        $pos += $n;
    }
}


1;
