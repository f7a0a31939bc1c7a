package Test::Nginx::Stream;

# TCP and UDP clients for tests.

use strict;
use warnings;

use Errno qw/ EAGAIN EINTR EWOULDBLOCK /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;

use Test::Nginx qw/ log_in log_out /;

our @EXPORT_OK = qw/ stream dgram /;


sub stream {
    return Test::Nginx::Stream->new(@_ == 1 ? (PeerAddr => @_) : @_);
}


sub dgram {
    return Test::Nginx::Stream->new(Proto => 'udp',
        @_ == 1 ? (PeerAddr => @_) : @_);
}


sub new {
    my $class = shift;
    my %opts = (Proto => 'tcp', PeerAddr => '127.0.0.1', Timeout => 8,
        @_ == 1 ? (PeerAddr => @_) : @_);

    my $s = IO::Socket::INET->new(%opts)
        or die "can't connect to $opts{PeerAddr}: $@\n";

    if ($opts{SSL}) {
        require IO::Socket::SSL;

        # a failed handshake is left to the test: there is nothing to read

        IO::Socket::SSL->start_SSL($s, SSL_verify_mode => 0, %opts)
            or log_in('no TLS:', IO::Socket::SSL::errstr());
    }

    $s->blocking(0) if $s->opened();
    return bless { socket => $s }, $class;
}


# TLS sockets refer to themselves, and would not be closed

sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    $self->{socket}->close();
}


# 1, or closes the socket if not everything could be sent

sub write {
    my ($self, $data, %extra) = @_;
    my $s = $self->{socket};

    local $SIG{PIPE} = 'IGNORE';

    while ($s->opened()) {
        last if !IO::Select->new($s)->can_write($extra{write_timeout} || 5);

        my $n = $s->syswrite($data);
        next if !defined $n && _again($s);
        last if !defined $n;

        log_out(substr $data, 0, $n, '');
        last if !length $data;
    }

    return 1 if !length $data;

    $s->close();
    return 0;
}


# the next bytes, '' at the end, undef after the timeout

sub read {
    my ($self, %extra) = @_;
    my $s = $self->{socket};
    my $data = '';

    while ($s->opened()) {
        my $pending = $s->can('pending') && $s->pending();

        return undef if !$pending
            && !IO::Select->new($s)->can_read($extra{read_timeout} || 8);

        last if defined $s->sysread($data, 16384) || !_again($s);
    }

    $data = '' if !defined $data;
    log_in($data);
    return $data;
}


# Sends, then reads until the end, "length" bytes or "read" reads.

sub io {
    my ($self, $data, %extra) = @_;
    my $reads = $extra{read};
    my $reply = '';

    $reads = 1
        if !defined $reads && $self->{socket}->socktype() == SOCK_DGRAM;

    $self->write($data, %extra);

    until (defined $reads && $reads-- <= 0) {
        my $part = $self->read(%extra);
        last if !defined $part || $part eq '';

        $reply .= $part;
        last if defined $extra{length} && length $reply >= $extra{length};
    }

    return $reply;
}


sub close {
    my ($self) = @_;
    return $self->{socket}->close();
}


sub socket { return $_[0]->{socket} }
sub sockaddr { return $_[0]->{socket}->sockaddr() }
sub sockhost { return $_[0]->{socket}->sockhost() }
sub sockport { return $_[0]->{socket}->sockport() }


sub _again {
    my ($s) = @_;

    return 1 if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
    return $s->can('errstr') && $s->errstr() =~ /wants a (?:read|write)/i;
}


1;
