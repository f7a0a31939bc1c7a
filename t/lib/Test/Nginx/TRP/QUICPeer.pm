package Test::Nginx::TRP::QUICPeer;

# A QUIC connection's end that does exactly what a test says, right or wrong: a
# client by aioquic, in a process of its own.
#
#     my $missing = quic_missing() || quic_peer_missing();
#
#     my $c = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1));
#     $c->wait('ready') or die;
#     my $id = $c->open(frame('PING'));
#     my $hello = $c->next_frame($id);               # as in Client.pm
#     my $closed = $c->wait('closed');          # {code}, {text}
#
# Options: port, alpn ([ 'trp/2' ]), name, bind (an address), idle (seconds),
# dcid (hex).

use strict;
use warnings;

use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use IO::Select;
use IPC::Open2;
use JSON::PP;
use Time::HiRes qw/ time /;

use Test::Nginx qw/ log_in log_out /;
use Test::Nginx::TRP::Client;

our @EXPORT = qw/ quic_peer_missing /;

use constant { TIMEOUT => 20, LABEL => 'EXPORTER-Channel-Binding' };


sub quic_peer_missing {
    return if system("python3 -c 'import aioquic' 2> /dev/null") == 0;
    return 'no aioquic for python3';
}


sub new {
    my ($class, %o) = @_;

    %o = (host => '127.0.0.1', alpn => [ 'trp/2' ], %o);
    $o{port} += 0;

    my $pid = open2(my $out, my $in, 'python3',
        dirname(__FILE__) . '/quic_peer.py', encode_json(\%o));

    return bless { pid => $pid, in => $in, out => $out, text => '',
        events => [], streams => {} }, $class;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    $self->end();
}


# closes the connection

sub end {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;

    # what it has to say must not block it

    close $self->{in};
    1 while sysread $self->{out}, my $rest, 65536;
    waitpid $pid, 0;
}


# as if it had been killed: without a word

sub kill {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;

    CORE::kill('KILL', $pid);
    waitpid $pid, 0;
}


sub command {
    my ($self, $command, %args) = @_;
    my $line = encode_json({ command => $command, %args });

    local $SIG{PIPE} = 'IGNORE';
    log_out($line);
    syswrite $self->{in}, "$line\n";
}


# the next event of a name, of a stream if there is an id; undef: none came

sub wait {
    my ($self, $name, %o) = @_;
    my $deadline = time() + ($o{timeout} // TIMEOUT);

    while (1) {
        for my $i (0 .. $#{$self->{events}}) {
            my $e = $self->{events}[$i];

            next if $e->{event} ne $name
                || defined $o{id} && $e->{id} != $o{id};

            splice @{$self->{events}}, $i, 1;
            return $e;
        }

        $self->_fill($deadline - time()) or return;
    }
}


sub _fill {
    my ($self, $timeout) = @_;

    return if $timeout < 0 || $self->{eof}
        || !IO::Select->new($self->{out})->can_read($timeout);

    if (!sysread $self->{out}, $self->{text}, 65536, length $self->{text}) {
        $self->{eof} = 1;
        return;
    }

    while ($self->{text} =~ s/^(.*)\n//) {
        log_in($1);
        my $e = decode_json($1);

        if ($e->{event} eq 'data') {
            my $s = $self->{streams}{$e->{id}} ||= { in => '' };
            $s->{in} .= pack 'H*', $e->{data};
            $s->{end} = 1 if $e->{end};
        }

        push @{$self->{events}}, $e if $e->{event} ne 'data';
    }

    return 1;
}


# A stream with its first bytes, the id; force: whatever the server allows, end,
# uni.

sub open {
    my ($self, $data, %o) = @_;

    $self->command('open', data => unpack('H*', $data), %o);
    my $e = $self->wait('opened') or return;
    return $e->{id};
}


sub send {
    my ($self, $id, $data, %o) = @_;
    $self->command('send', id => $id, data => unpack('H*', $data), %o);
}


# The next frame of a stream, undef: none.  PINGs are answered and not seen,
# AGENTS is not seen.

sub next_frame {
    my ($self, $id, %o) = @_;
    my $deadline = time() + ($o{timeout} // TIMEOUT);
    my $s = $self->{streams}{$id} ||= { in => '' };

    while (1) {
        my $frame = Test::Nginx::TRP::Client::parse($s);

        if (!$frame) {
            return if $s->{end};
            $self->_fill($deadline - time()) or return;

        } elsif ($frame->{type} eq 'PING') {
            $self->send($id, frame('PONG'));

        } elsif ($frame->{type} ne 'AGENTS') {
            return $frame;
        }
    }
}


# what exporter() of Client.pm is, for its auth() and transcript()

sub exporter {
    my ($self) = @_;

    $self->command('exporter', label => LABEL);
    my $e = $self->wait('exporter') or return;
    return pack 'H*', $e->{data};
}


# Opens the first stream, and logs in on it: its id, and the frame that follows.
# Options are those of Client.pm's auth().

sub login {
    my ($self, %o) = @_;
    my $id = $self->open(frame('PING'));
    my $hello = $self->next_frame($id) or return ($id);

    $self->send($id, Test::Nginx::TRP::Client::auth($self, $hello, %o));
    return ($id, $self->next_frame($id));
}


sub transcript { return Test::Nginx::TRP::Client::transcript(@_) }


1;
