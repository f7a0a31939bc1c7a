package Test::Nginx::TRP::Transfer;

# Connections that a test makes itself, their data, and how they end.
# transfer() and what is below it take an object of Test::Nginx::Stream as well
# as a socket.

use strict;
use warnings;

use Digest::SHA;
use Errno qw/ EAGAIN ECONNRESET EINTR EPIPE EWOULDBLOCK /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use Socket qw/ SOL_SOCKET SO_LINGER SO_RCVTIMEO SHUT_WR /;

our @EXPORT = qw/
    connect_to fill noise receive transfer visit drain end_of reset_of
    abort client_hello
/;
our @EXPORT_OK = qw/ again noise_block /;

use constant {
    TIMEOUT => 30,
    CHUNK => 65536,
};


# A connection to a port of 127.0.0.1; dies if there is none.  IO::Socket gets
# no timeout: with one, a connection that is reset at once would fail here.
# Option: timeout, after which a read fails, so that a test does not hang.

sub connect_to {
    my ($port, %opts) = @_;

    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => "127.0.0.1:$port",
    ) or die "can't connect to $port: $!\n";

    setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'l! l!', $opts{timeout}, 0
        if $opts{timeout};

    $s->autoflush(1);
    return $s;
}


# Writes until no more is taken, or "bytes" bytes; returns how many there
# were, or undef after an error, which reading does not show again.
# The bytes are those of noise(), from the offset on.

sub fill {
    my ($s, $bytes, $offset) = @_;
    my $select = IO::Select->new($s);
    my $block = noise_block(1);
    my $sent = 0;

    local $SIG{PIPE} = 'IGNORE';
    $s->blocking(0);

    while ((!defined $bytes || $sent < $bytes) && $select->can_write(0.5)) {
        my $pos = (($offset || 0) + $sent) % length $block;
        my $n = length($block) - $pos;
        $n = $bytes - $sent if defined $bytes && $n > $bytes - $sent;

        $n = syswrite $s, $block, $n, $pos;
        return undef if !defined $n && !again();
        $sent += $n || 0;
    }

    return $sent;
}


# so many bytes that look random, but are the same each time

sub noise {
    my ($bytes) = @_;
    my $block = noise_block(1);
    return substr $block x (1 + int $bytes / length $block), 0, $bytes;
}


# Reads until there are so many bytes, or the end, or nothing for so many
# seconds (30).

sub receive {
    my ($s, $bytes, $timeout) = @_;
    my $select = IO::Select->new($s);
    my $data = '';

    while ((!defined $bytes || length $data < $bytes)
        && $select->can_read($timeout || TIMEOUT))
    {
        my $n = defined $bytes ? $bytes - length $data : CHUNK;
        sysread($s, $data, $n, length $data) or last;
    }

    return $data;
}


# Sends "bytes" bytes that look random, reads until the end at the same time.
# The first "bytes" bytes that come back are the echo, what follows is the
# tail.  Returns a hash:
#
#     sent sent_sha received received_sha tail end
#
# and the end is eof, reset, timeout (nothing moved for so long) or open.
# Options: seed; fin => 0 sends no FIN, and stops when the echo is complete;
# timeout.

sub transfer {
    my ($s, $bytes, %opts) = @_;
    my $timeout = $opts{timeout} || TIMEOUT;
    my $fin = !defined $opts{fin} || $opts{fin};
    my $block = noise_block($opts{seed} || 1);
    my ($out_sha, $in_sha) = map { Digest::SHA->new(256) } 1, 2;
    my ($sent, $received, $queue, $tail, $end) = (0, 0, '', '', 'open');

    $s = $s->socket() if ref $s eq 'Test::Nginx::Stream';

    local $SIG{PIPE} = 'IGNORE';
    $s->blocking(0);
    shutdown $s, SHUT_WR if $fin && $bytes == 0;

    while ($fin || $received < $bytes) {
        my $writing = $sent < $bytes;
        my ($r, $w) = IO::Select->select(IO::Select->new($s),
            $writing ? IO::Select->new($s) : undef, undef, $timeout);

        if (!$r) {
            $end = 'timeout';
            last;
        }

        if (@$w) {
            if ($queue eq '') {
                my $n = $bytes - $sent;
                $n = length $block if $n > length $block;
                $queue = substr $block, 0, $n;
                $out_sha->add($queue);
            }

            my $n = syswrite $s, $queue;

            if (defined $n) {
                substr $queue, 0, $n, '';
                $sent += $n;
                shutdown $s, SHUT_WR if $fin && $sent == $bytes;

            } elsif (!again()) {
                $end = 'reset';
                last;
            }
        }

        if (@$r) {
            my $n = sysread($s, my $data, CHUNK);
            next if !defined $n && again();

            if (!$n) {
                $end = defined $n ? 'eof' : 'reset';
                last;
            }

            my $echo = $bytes - $received;
            $tail .= substr $data, $echo, length $data, '' if $n > $echo;
            $in_sha->add($data);
            $received += length $data;
        }
    }

    return {
        sent => $sent,
        sent_sha => $out_sha->hexdigest(),
        received => $received,
        received_sha => $in_sha->hexdigest(),
        tail => $tail,
        end => $end,
    };
}


# One user of an echo server: 1 if all bytes have come back, the digest and a
# clean end, else 0.  Options: bytes (100); from, the address of the user;
# timeout.

sub visit {
    my ($port, %opts) = @_;
    my $bytes = $opts{bytes} || 100;

    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => "127.0.0.1:$port",
        LocalAddr => $opts{from},
    ) or return 0;

    my $result = transfer($s, $bytes, timeout => $opts{timeout});

    return $result->{end} eq 'eof'
        && $result->{received_sha} eq $result->{sent_sha}
        && $result->{tail} eq "$bytes $result->{sent_sha}\n" ? 1 : 0;
}


# The block that noise is made of, for this module's neighbours.  Its length is
# not a power of two, so that no buffer size hides a misplaced block.

sub noise_block {
    my ($seed) = @_;
    return substr join('', map { Digest::SHA::sha512("$seed $_") } 0 .. 1023),
        0, 65521;
}


# true if the last call on a non-blocking socket would have blocked

sub again {
    return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
}


# Reads until the end, with a timeout between two reads: "eof", "reset",
# "timeout", or "error: TEXT".

sub end_of {
    return (drain(@_))[2];
}


# the same, returns bytes, digest and end

sub drain {
    my ($s, $timeout) = @_;
    my $sha = Digest::SHA->new(256);
    my ($bytes, $end) = (0, 'timeout');
    my $select = IO::Select->new(
        $s = ref $s eq 'Test::Nginx::Stream' ? $s->socket() : $s);

    $s->blocking(0);

    while ($select->can_read($timeout || TIMEOUT)) {
        my $n = sysread($s, my $data, CHUNK);
        next if !defined $n && again();

        if (!$n) {
            $end = defined $n ? 'eof'
                : $! == ECONNRESET || $! == EPIPE ? 'reset' : "error: $!";
            last;
        }

        $sha->add($data);
        $bytes += $n;
    }

    return ($bytes, $sha->hexdigest(), $end);
}


# 1 if the end is a reset, else 0

sub reset_of {
    return end_of(@_) eq 'reset' ? 1 : 0;
}


# closes with a reset

sub abort {
    my ($s) = @_;

    $s = $s->socket() if ref $s eq 'Test::Nginx::Stream';
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $s;
}


# the first bytes of a TLS client with these ALPN protocols

sub client_hello {
    my (@protocols) = @_;

    require Net::SSLeay;
    Net::SSLeay::initialize();

    my $ctx = Net::SSLeay::CTX_new() or die "no TLS context\n";
    Net::SSLeay::CTX_set_alpn_protos($ctx, \@protocols) if @protocols;

    my $ssl = Net::SSLeay::new($ctx);
    my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) }
        1, 2;

    Net::SSLeay::set_bio($ssl, $in, $out);
    Net::SSLeay::connect($ssl);
    my $hello = Net::SSLeay::BIO_read($out, 16384);

    Net::SSLeay::free($ssl);
    Net::SSLeay::CTX_free($ctx);
    Net::SSLeay::ERR_clear_error();

    return $hello;
}


1;
