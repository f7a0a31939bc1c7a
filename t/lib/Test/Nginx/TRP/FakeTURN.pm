package Test::Nginx::TRP::FakeTURN;

# A TURN server in Perl for the tests of a client: it relays, and makes the
# errors that it is told to make.
#
#     fake_turn($t, port(8478), on => {
#         allocate => sub { $_[0] == 2 ? 486 : undef },
#     });
#
# It listens on TCP (127.0.0.1), or UDP with "udp => 1", or speaks TLS with
# "tls => NAME", the certificate NAME.crt and NAME.key of the test's directory.
# User "alice", password "secret", realm "example.org", unless there are others
# as options.
#
# "on" has a function for a method: it gets the number of such requests so
# far, which are signed unless the method ends in "/any", the request, the
# connection, and the port.  What it returns happens instead of what a good
# server does:
#
#     undef          nothing else
#     486            an error; 401 and 438 have realm and a new nonce
#     [ 300, NAME => value, ... ]    an error with attributes
#     [ 0, NAME => value, ... ]      success with these attributes
#     "drop"         no answer
#     "close", "reset", "garbage"    as if the server were broken
#     "unsigned", "forged"           a good answer, without or with a wrong
#                                    MESSAGE-INTEGRITY
#
# "data" in "on" is asked about ChannelData and Send, and drops them if it
# returns something.
#
# Other options: lifetime (600), name ("turn"), after_bind, bytes that follow
# the answer to ConnectionBind at once.
#
# Each event is a line in the file NAME.log of the test's directory, which
# begins with the number of the connection; for clients over UDP, with "udp"
# and the number of their port:
#
#     1 open
#     1 allocate 401
#     1 allocate 0 alice 6
#     1 connect 0 alice 127.0.0.1:8081
#     2 connectionbind 0 alice
#     1 refresh 0 alice 0
#     1 end eof
#     udp 4711 send 100
#     udp 4711 channel 100

use strict;
use warnings;

use Errno qw/ ECONNRESET /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::IP;
use Socket qw/ IPPROTO_TCP SHUT_WR SOL_SOCKET SO_LINGER TCP_NODELAY /;

use Test::Nginx::TRP::Servers qw/ listener /;
use Test::Nginx::TRP::Transfer qw/ again /;
use Test::Nginx::TRP::TURN;
use Test::Nginx::TRP::Waiting qw/ count_log /;

our @EXPORT = qw/ fake_turn /;

my $number = 0;


sub fake_turn {
    my ($t, $port, %opts) = @_;

    my $self = bless {
        user => 'alice',
        password => 'secret',
        realm => 'example.org',
        lifetime => 600,
        name => 'turn',
        on => {},
        %opts,
        nonces => {},
        conns => {},
        pending => {},
        counts => {},
        ids => 0,
        port => $port,
    }, __PACKAGE__;

    $self->{dir} = $t->testdir();
    my $kind = $opts{udp} ? 'socket' : 'listener';
    $self->{$kind} = $opts{udp} ? turn_peer('127.0.0.1', $port)
        : listener($port);

    $t->run_daemon(sub { $self->_run() });
    close $self->{$kind};
}


sub _log {
    my ($self, $line) = @_;

    open my $fh, '>>', "$self->{dir}/$self->{name}.log"
        or die "can't write a log: $!\n";
    syswrite $fh, "$line\n";
}


# the loop

sub _run {
    my ($self) = @_;
    my $select = $self->{select} = IO::Select->new($self->{socket}
        || $self->{listener});

    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';

    while (1) {
        for my $s ($select->can_read()) {
            my $fd = fileno $s;
            next if !defined $fd;

            if ($self->{udp} && $s == $self->{socket}) {
                $self->_datagram();
            } elsif (!$self->{udp} && $s == $self->{listener}) {
                $self->_accept();
            } elsif (my $c = $self->{conns}->{$fd}) {
                $self->_readable($c);
            }
        }
    }
}


sub _accept {
    my ($self) = @_;
    my $s = $self->{listener}->accept() or return;

    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;
    my $c = $self->_add($s, number => ++$number);
    $self->_log("$c->{number} open");

    return if !$self->{tls};

    require IO::Socket::SSL;

    my $ssl = IO::Socket::SSL->start_SSL($s,
        SSL_server => 1,
        SSL_cert_file => "$self->{dir}/$self->{tls}.crt",
        SSL_key_file => "$self->{dir}/$self->{tls}.key",
        Timeout => 10,
    );

    if (!$ssl) {
        $self->_log("$c->{number} tls failed");
        $self->_remove($c, 'eof');
        return;
    }

    $self->_log("$c->{number} tls");
    $s->blocking(0);
}


sub _add {
    my ($self, $s, %opts) = @_;

    $s->blocking(0) if !$self->{tls} || $opts{peer};
    $self->{select}->add($s);
    return $self->{conns}->{fileno $s} = { s => $s, in => '', %opts };
}


sub _remove {
    my ($self, $c, $end) = @_;

    return if $c->{gone}++;
    $self->_log("$c->{number} end $end") if $c->{number};

    $self->{select}->remove($c->{s});
    delete $self->{conns}->{fileno $c->{s}};

    # closes only our copy: TLS sends nothing more

    if ($c->{s}->isa('IO::Socket::SSL')) {
        $c->{s}->close(SSL_no_shutdown => 1);
    } else {
        close $c->{s};
    }

    # data connections end with the control connection

    if (my $alloc = $c->{alloc}) {
        $self->_remove($_, 'control') for grep { $_ && !$_->{gone} }
            @{$alloc->{conns}};
        $self->_remove($alloc->{relay}, '') if $alloc->{relay};
    }
}


sub _reset {
    my ($self, $c) = @_;

    setsockopt $c->{s}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->_remove($c, 'reset by us');
}


sub _readable {
    my ($self, $c) = @_;

    return $self->_from_relay($c) if $c->{relay_of};

    while (!$c->{gone}) {
        my $n = $c->{s}->sysread(my $data, 65536);

        if (!defined $n) {
            return if again();
        }

        if (!$n) {
            return $self->_ended($c, defined $n ? 'eof'
                : $! == ECONNRESET ? 'reset' : "error $!");
        }

        if ($c->{linked}) {
            _write($c->{linked}->{s}, $data);
        } else {
            $c->{in} .= $data;
            $self->_frames($c) if !$c->{peer};
        }
    }
}


# half-closed connections stay, resets are passed on

sub _ended {
    my ($self, $c, $end) = @_;
    my $other = $c->{linked};

    if (!$other || $other->{gone}) {
        return $self->_remove($c, $end) if !$c->{peer};

        # a peer that has ended before it was bound
        $c->{ended} = $end;
        $self->{select}->remove($c->{s});
        return;
    }

    if ($end ne 'eof') {
        $self->_reset($other);
        return $self->_remove($c, $end);
    }

    $self->{select}->remove($c->{s});
    $c->{ended} = $end;
    $other->{ended} ? ($self->_remove($c, $end), $self->_remove($other, 'eof'))
        : shutdown $other->{s}, SHUT_WR;
}


sub _write {
    my ($s, $data) = @_;

    while (length $data) {
        my $n = $s->syswrite($data);

        if ($n) {
            substr $data, 0, $n, '';
            next;
        }

        return if !again();
        IO::Select->new($s)->can_write(1);
    }
}


# messages

sub _frames {
    my ($self, $c) = @_;

    while (!$c->{gone} && !$c->{linked} && length $c->{in} >= 4) {
        my ($type, $length) = unpack 'n n', $c->{in};

        if ($type >= 0x8000) {
            return $self->_remove($c, 'garbage');
        }

        my $size = $type < 0x4000 ? 20 + $length
            : 4 + $length + -$length % 4;
        return if length $c->{in} < $size;

        $self->_message($c, substr $c->{in}, 0, $size, '');
    }

    # what came after ConnectionBind

    if ($c->{linked} && length $c->{in}) {
        _write($c->{linked}->{s}, $c->{in});
        $c->{in} = '';
    }
}


sub _datagram {
    my ($self) = @_;
    my $from = recv($self->{socket}, my $data, 65536, 0);

    return if !defined $from;

    my $name = peer_addr($from);
    my $c = $self->{clients}->{$name} ||= {
        s => $self->{socket}, to => $from, in => '',
        number => 'udp ' . $name =~ s/.*://r,
    };

    $self->_message($c, $data);
}


sub _answer {
    my ($self, $c, $bytes) = @_;

    return send $self->{socket}, $bytes, 0, $c->{to} if $c->{to};
    _write($c->{s}, $bytes);
}


sub _message {
    my ($self, $c, $bytes) = @_;
    my $key = stun_key($self->{user}, $self->{realm}, $self->{password});
    my $m = stun_parse($bytes, key => $key);

    return $self->_log("$c->{number} garbage") if !$m;

    if ($m->{class} eq 'channel' || $m->{method} eq 'send') {
        my $drop = $self->{on}->{data};
        return if $drop && $drop->(++$self->{counts}->{data}, $m, $c,
            $self->{port});
    }

    if ($m->{class} eq 'channel') {
        $self->_log("$c->{number} channel " . length $m->{data});
        return $self->_to_peer($c,
            $c->{alloc}->{channels}->{$m->{channel}}, $m->{data});
    }

    if ($m->{method} eq 'send') {
        $self->_log("$c->{number} send " . length $m->{attr}->{data});
        return $self->_to_peer($c, $m->{attr}->{'xor-peer-address'},
            $m->{attr}->{data});
    }

    return if $m->{class} ne 'request';

    my $method = $m->{method};
    my $auth = $self->_authorized($m);
    my $hook = $auth ? $method : "$method/any";
    my $count = ++$self->{counts}->{$hook};
    my $what = $self->{on}->{$hook} ? $self->{on}->{$hook}->($count, $m, $c,
            $self->{port})
        : undef;

    if (!defined $what || $what =~ /^(?:unsigned|forged)$/) {
        my @good = !$auth && $method ne 'binding' ? 401
            : $self->_do($c, $m);
        return $self->_reply($c, $m, $what || '', @good);
    }

    return $self->_reply($c, $m, '', @$what) if ref $what;
    return $self->_reply($c, $m, '', $what) if $what =~ /^\d+$/;

    $self->_log("$c->{number} $method $what");
    return $self->_remove($c, $what) if $what eq 'close' && !$c->{to};
    return $self->_reset($c) if $what eq 'reset' && !$c->{to};
    return $self->_answer($c, "\xff" x 64) if $what eq 'garbage';
}


sub _authorized {
    my ($self, $m) = @_;
    my $nonce = $m->{attr}->{nonce};

    return $m->{signed} eq 'sha1' && defined $nonce
        && $self->{nonces}->{$nonce}
        && ($m->{attr}->{username} || '') eq $self->{user};
}


sub _reply {
    my ($self, $c, $m, $how, $code, @attrs) = @_;
    my $key = $how eq 'forged' ? 'x' x 16
        : stun_key($self->{user}, $self->{realm}, $self->{password});

    if ($code == 401 || $code == 438) {
        my $nonce = sprintf 'nonce%d', ++$self->{ids};
        $self->{nonces}->{$nonce} = 1;
        push @attrs, realm => $self->{realm}, nonce => $nonce;
    }

    unshift @attrs, 'error-code' => [ $code, 'error' ] if $code;
    push @attrs, 'message-integrity' => $key
        if $how ne 'unsigned' && $m->{signed};

    my $attr = $m->{attr};
    $self->_log(join ' ', $c->{number}, $m->{method}, $code,
        grep { defined } @$attr{qw/ username requested-transport lifetime
            xor-peer-address /});

    $self->_answer($c, stun_message($m->{method}, \@attrs, id => $m->{id},
        class => $code ? 'error' : 'success'));

    return if $code || $m->{method} ne 'connectionbind';

    # from here on it is a connection to the peer

    my $peer = $c->{linked};
    _write($c->{s}, $self->{after_bind}) if defined $self->{after_bind};
    _write($c->{s}, $peer->{in}) if length $peer->{in};
    $peer->{in} = '';
    $self->_ended($peer, $peer->{ended}) if $peer->{ended};
}


# What a good server does: the code, and attributes.

sub _do {
    my ($self, $c, $m) = @_;
    my $attr = $m->{attr};
    my $alloc = $c->{alloc};
    my $method = $m->{method};

    return (0, 'xor-mapped-address' => '127.0.0.1:1') if $method eq 'binding';

    if ($method eq 'allocate') {
        return 437 if $alloc;

        my $udp = $attr->{'requested-transport'} == 17;
        my $relay = turn_peer('127.0.0.1');

        $alloc = $c->{alloc} = { channels => {}, conns => [] };
        $alloc->{relay} = $self->_add($relay, relay_of => $c) if $udp;

        return (0, 'xor-relayed-address' => peer_addr($relay),
            lifetime => $self->{lifetime},
            'xor-mapped-address' => '127.0.0.1:1');
    }

    return $self->_bind_connection($c, $attr) if $method eq 'connectionbind';
    return 437 if !$alloc;

    if ($method eq 'refresh') {
        my $lifetime = $attr->{lifetime};
        $lifetime = $self->{lifetime} if !defined $lifetime || $lifetime;

        if (!$lifetime) {
            $self->_remove($alloc->{relay}, '') if $alloc->{relay};
            delete $c->{alloc};
        }

        return (0, lifetime => $lifetime);
    }

    if ($method =~ /^(?:createpermission|channelbind)$/) {
        my $peer = $attr->{'xor-peer-address'};

        $alloc->{permissions}->{$peer =~ s/:\d+$//r} = 1;
        return 0 if $method eq 'createpermission';

        my $channel = $attr->{'channel-number'};

        $alloc->{channels}->{$channel} = $peer;
        $alloc->{numbers}->{$peer} = $channel;
        return 0;
    }

    return 400 if $method ne 'connect';

    my $peer = $attr->{'xor-peer-address'};
    return 446 if grep { $_->{peer} && $_->{peer} eq $peer && !$_->{gone} }
        @{$alloc->{conns}};

    my ($host, $port) = $peer =~ /^\[?(.*?)\]?:(\d+)$/;
    my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port)
        or return 447;

    my $id = ++$self->{ids};
    my $p = $self->{pending}->{$id} = $self->_add($s, peer => $peer);
    push @{$alloc->{conns}}, $p;
    $p->{alloc_of} = $alloc;

    return (0, 'connection-id' => $id);
}


sub _bind_connection {
    my ($self, $c, $attr) = @_;
    my $peer = delete $self->{pending}->{$attr->{'connection-id'}}
        or return 400;

    push @{$peer->{alloc_of}->{conns}}, $c;
    $c->{linked} = $peer;
    $peer->{linked} = $c;

    return 0;
}


# datagrams of and to peers

sub _to_peer {
    my ($self, $c, $peer, $data) = @_;
    my $relay = $c->{alloc} && $c->{alloc}->{relay} or return;

    return if !defined $peer || !defined $data
        || !$c->{alloc}->{permissions}->{$peer =~ s/:\d+$//r};
    peer_send($relay->{s}, $peer, $data);
}


sub _from_relay {
    my ($self, $relay) = @_;
    my $c = $relay->{relay_of};
    my $from = recv($relay->{s}, my $data, 65536, 0);

    return if !defined $from;

    my $peer = peer_addr($from);
    my $channel = $c->{alloc}->{numbers}->{$peer};

    $self->_answer($c, $channel
        ? channel_data($channel, $data, pad => !$c->{to})
        : stun_message('data', [ 'xor-peer-address' => $peer,
            data => $data ], class => 'indication'));
}


1;
