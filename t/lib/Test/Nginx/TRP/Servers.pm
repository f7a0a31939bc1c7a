package Test::Nginx::TRP::Servers;

# Destinations of a test's connections: servers that behave in known ways, and
# sockets that listen.  They end with the test.

use strict;
use warnings;

use Digest::SHA;
use Errno qw/ EINTR EPIPE /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ SHUT_WR /;

use Test::Nginx::TRP::Transfer qw/ abort again noise_block /;
use Test::Nginx::TRP::Waiting qw/ wait_for /;

our @EXPORT = qw/
    serve serve_on served listener accepted full_listener echo_datagrams
/;

use constant CHUNK => 65536;


# serve($t, port, kind, options) starts a server; it listens on return.
#
#     echo     sends back what it gets and, after the client's FIN, a digest
#     discard  sends only the digest
#     send     sends "data" and closes; what it gets is lost
#     half     sends "data" and FIN, then reads until the end
#     hello    sends "data" first, then echoes
#     reset    resets the connection after "after" bytes (0)
#     sink     reads nothing at all
#     later    reads nothing until a file "until" of the directory is there,
#              then everything; sends the digest
#     flood    sends for ever, or "bytes" bytes, and waits for the end of what
#              it gets and discards
#
# The digest is a line, "BYTES SHA256"; digest => 0 leaves it out.  With
# record => NAME each connection leaves a line in that file of the test's
# directory when it ends: "BYTES SHA256 eof" or "BYTES SHA256 reset".
# Reset and sink record nothing.

my %handlers = (
    echo => \&_serve_echo,
    discard => \&_serve_echo,
    send => \&_serve_send,
    half => \&_serve_half,
    hello => \&_serve_echo,
    reset => \&_serve_reset,
    sink => \&_serve_sink,
    later => \&_serve_later,
    flood => \&_serve_flood,
);


sub serve {
    my ($t, $port, $kind, %opts) = @_;

    return serve_on($t, listener($port), $kind, %opts);
}


# a socket that listens on a port of 127.0.0.1; 0 is any

sub listener {
    my ($port) = @_;

    return IO::Socket::INET->new(
        Proto => 'tcp',
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
        Listen => 1024,
        ReuseAddr => 1,
    ) || die "can't listen on $port: $!\n";
}


# a connection that comes to a listening socket; dies if none does

sub accepted {
    my ($listener) = @_;

    return IO::Select->new($listener)->can_read(10) && $listener->accept()
        || die "the destination was not asked\n";
}


# serve() with a listening socket of the caller's making

sub serve_on {
    my ($t, $listener, $kind, %opts) = @_;
    my $handler = $handlers{$kind} or die "no server \"$kind\"\n";

    $opts{data} = "hello\n" if !defined $opts{data};
    $opts{kind} = $kind;

    $opts{$_} = $t->testdir() . "/$opts{$_}"
        for grep { $opts{$_} } qw/ record until /;

    $t->run_daemon(\&_accept, $listener, $handler, \%opts);
    close $listener;

    return $t;
}


# a port that does not answer: its queue is full

sub full_listener {
    my ($port, $addr) = @_;
    $addr ||= '127.0.0.1';

    my @all = IO::Socket::INET->new(Proto => 'tcp', LocalPort => $port,
        LocalAddr => $addr, Listen => 1, ReuseAddr => 1)
        or die "can't listen on $port: $!\n";

    for (1 .. 20) {
        my $s = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0,
            PeerAddr => "$addr:$port") or last;

        push @all, $s;
        last if !IO::Select->new($s)->can_write(0.5);
    }

    return \@all;
}


# the records of a server, without the newlines

sub served {
    my ($t, $name) = @_;

    open my $fh, '<', $t->testdir() . "/$name" or return;
    chomp(my @lines = <$fh>);
    return @lines;
}


# for run_daemon(): sends each datagram back to where it came from

sub echo_datagrams {
    my ($socket) = @_;

    $socket->blocking(1);

    while (1) {
        my $from = recv $socket, my $data, 65536, 0;
        send $socket, $data, 0, $from if defined $from;
    }
}


sub _accept {
    my ($listener, $handler, $opts) = @_;

    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub {
        local $SIG{TERM} = 'IGNORE';
        kill 'TERM', -$$;
        POSIX::_exit(0);
    };

    while (1) {
        my $s = $listener->accept() or next;
        my $pid = fork();
        die "can't fork: $!\n" if !defined $pid;
        next if $pid;

        $SIG{TERM} = 'DEFAULT';
        close $listener;
        binmode $s;
        $handler->($s, $opts);
        POSIX::_exit(0);
    }
}


sub _serve_echo {
    my ($s, $opts) = @_;

    _send($s, $opts->{data}) if $opts->{kind} eq 'hello';

    my ($line, $end) = _receive($s, sub {
        _send($s, $_[0]) if $opts->{kind} ne 'discard';
    });

    _record($opts, "$line $end");

    _send($s, "$line\n") if $end eq 'eof'
        && (defined $opts->{digest} ? $opts->{digest}
        : $opts->{kind} ne 'hello');
}


sub _serve_send {
    my ($s, $opts) = @_;
    _send($s, $opts->{data});
    shutdown $s, SHUT_WR;

    # closing with unread input would be a reset

    my ($line, $end) = _receive($s);
    _record($opts, "$line $end");
}


sub _serve_half {
    goto &_serve_send;
}


sub _serve_reset {
    my ($s, $opts) = @_;
    my $left = $opts->{after} || 0;

    while ($left > 0) {
        my $n = sysread($s, my $data, $left);
        last if !$n;
        $left -= $n;
    }

    abort($s);
}


sub _serve_sink {
    my ($s) = @_;
    sleep 3600 while 1;
}


sub _serve_later {
    my ($s, $opts) = @_;

    wait_for(sub { -e $opts->{until} }, 3600);

    my ($line, $end) = _receive($s);
    _record($opts, "$line $end");
    _send($s, "$line\n") if $end eq 'eof';
}


# An error is reported once, to the reader or the writer; EPIPE means that
# there was a FIN before.

sub _serve_flood {
    my ($s, $opts) = @_;
    my $sha = Digest::SHA->new(256);
    my $bytes = 0;
    my $left = $opts->{bytes};
    my $data = noise_block(1);
    my $select = IO::Select->new($s);
    my $end;

    $s->blocking(0);

    while (!$end) {
        my $writing = !defined $left || $left > 0;
        my ($r) = IO::Select->select($select, $writing ? $select : undef);
        my ($n, $in);

        if (@$r) {
            $n = sysread($s, $in, CHUNK);
            $end = 'eof' if defined $n && $n == 0;

        } else {
            $n = syswrite $s, $data;
            $left -= $n if defined $left && $n;
        }

        if (!defined $n) {
            next if again();
            $end = $! == EPIPE ? 'eof' : 'reset';

        } elsif (@$r) {
            $sha->add($in);
            $bytes += $n;
        }
    }

    _record($opts, "$bytes " . $sha->hexdigest() . " $end");
}


sub _send {
    my ($s, $data) = @_;

    while (length $data) {
        my $n = syswrite $s, $data;
        next if !defined $n && $! == EINTR;
        return 0 if !$n;
        substr $data, 0, $n, '';
    }

    return 1;
}


sub _receive {
    my ($s, $consumer) = @_;
    my $sha = Digest::SHA->new(256);
    my $bytes = 0;

    while (1) {
        my $n = sysread($s, my $data, CHUNK);
        next if !defined $n && $! == EINTR;

        return ("$bytes " . $sha->hexdigest(), defined $n ? 'eof' : 'reset')
            if !$n;

        $sha->add($data);
        $bytes += $n;
        $consumer->($data) if $consumer;
    }
}


sub _record {
    my ($opts, $line) = @_;

    return if !$opts->{record};
    open my $fh, '>>', $opts->{record} or die "can't record: $!\n";
    syswrite $fh, "$line\n";
}


1;
