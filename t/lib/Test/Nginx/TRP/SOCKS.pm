package Test::Nginx::TRP::SOCKS;

# A SOCKS5 client in Perl that does exactly what a test says, right or wrong.
#
#     my $c = socks(port(8080), '127.0.0.1:80', user => 'bob',
#         password => 'secret');
#     is($c->rep(), 0, 'connected');
#     print {$c->socket()} 'hello';
#
# After the handshake, as far as it got, the client has
#
#     socket   from here on it is the destination's
#     method   that the server has chosen, 255: none
#     auth     the status of user name and password, 0 is good
#     rep      the reply; undef if there was none, and end() says why
#     bnd      "127.0.0.1:1234" of the reply, or "[::1]:1234"
#     end      eof, reset or timeout: of the server, before a whole answer
#
# Options:
#
#     user, password   offers only them (RFC 1929); without, no authentication
#     methods          [ 0, 2 ]: what to offer
#     type             ipv4, ipv6 or name; otherwise what the destination is
#     command          1 CONNECT, 2 BIND, 3 UDP ASSOCIATE
#     atyp             a number for the request instead of the right one
#     slow             1: each byte of it alone
#     once             1: everything at once, without waiting for answers
#     data             goes with the request, early
#     raw              bytes instead of greeting and all the rest
#     stop             "connect", "greeting", "auth": goes no further; the
#                      rest comes with go_on()
#     host, from       of the server; address of the client
#     before           bytes before everything, as a PROXY protocol header
#     ssl              1, or options of IO::Socket::SSL
#     timeout          of all waiting
#
# UDP ASSOCIATE, by default without saying where the datagrams come from:
#
#     my $u = socks_udp(port(8080), user => 'bob', password => 'secret');
#     $u->send_to('127.0.0.1:53', $query);
#     my $m = $u->receive();
#
# A datagram that was received is a hash: frag, from ("127.0.0.1:53", or
# "name:53"), type (ipv4, ipv6, name), data, and raw; "via" is the address of
# the server's socket.  If it is invalid, it has only "error".

use strict;
use warnings;

use Errno qw/ ECONNREFUSED ECONNRESET EPIPE /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::IP;
use Scalar::Util qw/ weaken /;
use Socket qw/ AF_INET AF_INET6 IPPROTO_TCP TCP_NODELAY
    getnameinfo inet_ntop inet_pton NI_NUMERICHOST NI_NUMERICSERV /;
use Time::HiRes qw/ sleep time /;

use Test::Nginx qw/ log_in log_out /;
use Test::Nginx::TRP::Transfer qw/ again /;

our @EXPORT = qw/
    socks socks_udp socks_greeting socks_password socks_request socks_header
    socks_parse
/;

use constant TIMEOUT => 30;

my %types = (ipv4 => 1, name => 3, ipv6 => 4);
my %type_names = reverse %types;
my %clients;


# messages as bytes

sub socks_greeting {
    return pack 'C C/a', 5, join '', map { chr } @_;
}


sub socks_password {
    return pack 'C C/a C/a', 1, @_;
}


# Options: type, command, atyp, version, rsv.

sub socks_request {
    my ($to, %opts) = @_;

    return pack('C C C', _or($opts{version}, 5), _or($opts{command}, 1),
        $opts{rsv} || 0) . _address($to, %opts);
}


# of a datagram; options: type, atyp, frag, rsv

sub socks_header {
    my ($to, %opts) = @_;

    return pack('n C', $opts{rsv} || 0, $opts{frag} || 0)
        . _address($to, %opts);
}


# "127.0.0.1:80", "[::1]:80", "example:80"; and ":80" for an empty name

sub _address {
    my ($to, %opts) = @_;
    my ($host, $port) = $to =~ /^(.*):(\d+)\z/s or die "no address: $to\n";

    $host =~ s/^\[(.*)\]$/$1/;

    my $type = $opts{type} || ($host =~ /:/ ? 'ipv6'
        : $host =~ /^\d+\.\d+\.\d+\.\d+$/ ? 'ipv4' : 'name');

    my $bytes = $type eq 'name' ? pack 'C/a', $host
        : inet_pton($type eq 'ipv6' ? AF_INET6 : AF_INET, $host);

    return pack 'C a* n', _or($opts{atyp}, $types{$type}), $bytes, $port;
}


# What a datagram is: see above.

sub socks_parse {
    my ($bytes) = @_;

    return { error => 'too short' } if length $bytes < 4;
    my ($rsv, $frag, $atyp) = unpack 'n C C', $bytes;

    my $type = $type_names{$atyp} or return { error => "type $atyp" };
    my ($address, $size) = _parse_address($type, substr $bytes, 4);

    return { error => 'cut off' } if !defined $address;

    return {
        rsv => $rsv,
        frag => $frag,
        type => $type,
        from => $address,
        data => substr($bytes, 4 + $size),
        raw => $bytes,
    };
}


# text of address and port, and how many bytes they took

sub _parse_address {
    my ($type, $bytes) = @_;
    my ($host, $port, $size);

    if ($type eq 'name') {
        return if length $bytes < 1 || length $bytes < 3 + ord $bytes;
        ($host, $port) = unpack 'C/a n', $bytes;
        $size = 3 + length $host;

    } else {
        my $n = $type eq 'ipv6' ? 16 : 4;
        return if length $bytes < $n + 2;
        ($host, $port) = unpack "a$n n", $bytes;
        $host = inet_ntop($n == 16 ? AF_INET6 : AF_INET, $host);
        $host = "[$host]" if $n == 16;
        $size = $n + 2;
    }

    return ("$host:$port", $size);
}


# clients

sub socks {
    my ($port, $to, %opts) = @_;

    return Test::Nginx::TRP::SOCKS->new($port, $to, %opts);
}


sub new {
    my ($class, $port, $to, %opts) = @_;

    my $self = bless {
        host => '127.0.0.1',
        timeout => TIMEOUT,
        in => '',
        port => $port,
        to => $to,
        %opts,
    }, $class;

    weaken($clients{$self} = $self);

    $self->{socket} = $self->_dial() or return $self;
    $self->_handshake();
    return $self;
}


# so that nginx, which stops after the test, does not wait for them

END {
    $_->close() for grep { defined } values %clients;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    delete $clients{$self};
    $self->close();
}


sub _dial {
    my ($self) = @_;

    my $s = IO::Socket::IP->new(
        Proto => 'tcp',
        PeerHost => $self->{host},
        PeerPort => $self->{port},
        $self->{from} ? (LocalHost => $self->{from}) : (),
    ) or die "can't connect to $self->{port}: $@\n";

    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;
    $s->autoflush(1);
    $s->blocking(0);

    syswrite $s, $self->{before} if defined $self->{before};

    return $s if !$self->{ssl};

    require IO::Socket::SSL;

    $s->blocking(1);
    my $ssl = IO::Socket::SSL->start_SSL($s,
        SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE(),
        Timeout => $self->{timeout},
        ref $self->{ssl} ? %{$self->{ssl}} : (),
    );

    if (!$ssl) {
        $self->{end} = 'no TLS: ' . IO::Socket::SSL::errstr();
        return;
    }

    $s->blocking(0);
    return $ssl;
}


# the handshake, step by step

sub _handshake {
    my ($self) = @_;
    my $raw = $self->{raw};

    return $self->write($raw) if defined $raw;
    return if ($self->{stop} || '') eq 'connect';

    my @methods = @{$self->{methods} || [ defined $self->{user} ? 2 : 0 ]};
    my $password = defined $self->{user}
        ? socks_password($self->{user}, _or($self->{password}, '')) : '';

    my $greeting = socks_greeting(@methods);
    my $request = $self->_request();

    $self->write($greeting . $password . $request) if $self->{once};
    $self->write($greeting) if !$self->{once};
    $self->_method() or return;
    return if ($self->{stop} || '') eq 'greeting';

    if ($self->{method} == 2) {
        $self->write($password) if !$self->{once};
        $self->_auth() or return;
    }

    return if ($self->{stop} || '') eq 'auth';

    $self->go_on();
}


sub go_on {
    my ($self) = @_;

    $self->write($self->_request()) if !$self->{once};
    $self->reply();
}


sub _request {
    my ($self) = @_;

    return socks_request($self->{to}, %$self) . _or($self->{data}, '');
}


sub _method {
    my ($self) = @_;
    my $answer = $self->read(2);

    return 0 if length $answer < 2;
    die 'no answer of SOCKS5: ' . unpack('H*', $answer) . "\n"
        if ord $answer != 5;

    $self->{method} = ord substr $answer, 1;
    $self->{end} = $self->end_of() if $self->{method} == 255;
    return $self->{method} != 255;
}


sub _auth {
    my ($self) = @_;
    my $answer = $self->read(2);

    return 0 if length $answer < 2;
    die 'no answer of RFC 1929: ' . unpack('H*', $answer) . "\n"
        if ord $answer != 1;

    $self->{auth} = ord substr $answer, 1;
    $self->{end} = $self->end_of() if $self->{auth};
    return !$self->{auth};
}


# Reads the reply; what follows is left for the user of the socket.

sub reply {
    my ($self) = @_;
    my $answer = $self->read(5);

    return if length $answer < 5;
    my ($version, $rep, $rsv, $atyp, $first) = unpack 'C5', $answer;

    die 'no reply of SOCKS5: ' . unpack('H*', $answer) . "\n"
        if $version != 5 || $rsv || !$type_names{$atyp};

    my $rest = $atyp == 1 ? 5 : $atyp == 4 ? 17 : $first + 2;
    my $address = substr($answer, 4) . $self->read($rest);

    ($self->{bnd}) = _parse_address($type_names{$atyp}, $address);
    $self->{rep} = $rep if defined $self->{bnd};
    $self->{end} = $self->end_of() if $rep;

    return $self->{rep};
}


sub socket { return $_[0]->{socket} }
sub method { return $_[0]->{method} }
sub auth { return $_[0]->{auth} }
sub rep { return $_[0]->{rep} }
sub bnd { return $_[0]->{bnd} }
sub end { return $_[0]->{end} }


# the client's own address, as the server sees it

sub addr {
    my ($self) = @_;
    return _text(getsockname $self->{socket});
}


sub close {
    my ($self) = @_;
    my $s = delete $self->{socket} or return;

    return $s->close(SSL_no_shutdown => 1) if $s->isa('IO::Socket::SSL');
    $s->close();
}


sub _text {
    my ($error, $host, $port) = getnameinfo($_[0],
        NI_NUMERICHOST | NI_NUMERICSERV);

    return $error ? '' : $host =~ /:/ ? "[$host]:$port" : "$host:$port";
}


# bytes

sub write {
    my ($self, $data) = @_;
    my $s = $self->{socket};

    local $SIG{PIPE} = 'IGNORE';
    log_out($data);

    while (length $data) {
        my $n = $s->syswrite($data, $self->{slow} ? 1 : length $data);

        if ($n) {
            substr $data, 0, $n, '';
            sleep 0.005 if $self->{slow};
            next;
        }

        return 0 if !_again($s)
            || !IO::Select->new($s)->can_write($self->{timeout});
    }

    return 1;
}


# exactly so many bytes, or as many as came before the end

sub read {
    my ($self, $length) = @_;
    my $s = $self->{socket};
    my $deadline = time() + $self->{timeout};
    my $data = '';

    while (length $data < $length) {
        my $n = $s->sysread($data, $length - length $data, length $data);
        next if $n;

        if (defined $n || !_again($s)) {
            $self->{end} = defined $n ? 'eof'
                : $! == ECONNRESET || $! == EPIPE ? 'reset' : "error: $!";
            last;
        }

        my $left = $deadline - time();

        if ($left <= 0 || !IO::Select->new($s)->can_read($left)) {
            $self->{end} = 'timeout';
            last;
        }
    }

    log_in($data);
    return $data;
}


# Reads and drops everything: eof, reset, timeout, or "N bytes, eof".

sub end_of {
    my ($self) = @_;
    my $bytes = 0;

    delete $self->{end};

    while (!$self->{end}) {
        $bytes += length $self->read(65536);
    }

    return ($bytes ? "$bytes bytes, " : '') . $self->{end};
}


# sends and reads as many bytes as it sent

sub echo {
    my ($self, $data) = @_;
    $self->write($data);
    return $self->read(length $data);
}


sub _again {
    my ($s) = @_;

    return 1 if again();
    return $s->can('errstr')
        && ($s->errstr() || '') =~ /wants a (?:read|write)/i;
}


sub _or {
    return defined $_[0] ? $_[0] : $_[1];
}


# UDP ASSOCIATE.  Options, besides those of socks(): to, the address to ask
# for; udp_from, the one that the datagrams really have, udp_port.

sub socks_udp {
    my ($port, %opts) = @_;

    my $self = Test::Nginx::TRP::SOCKS->new($port,
        delete $opts{to} || '0.0.0.0:0', command => 3, %opts);

    $self->open_udp() if defined $self->{rep} && $self->{rep} == 0;
    return $self;
}


# Another socket; the old one is closed, unless it is kept somewhere.

sub open_udp {
    my ($self, %opts) = @_;
    my ($host, $port) = $self->{bnd} =~ /^\[?(.*?)\]?:(\d+)$/;

    my $from = $opts{udp_from} || $self->{udp_from}
        || $self->{socket}->sockhost();
    my $local = $opts{udp_port} || $self->{udp_port};

    my $s = IO::Socket::IP->new(
        Proto => 'udp',
        LocalHost => $from,
        LocalPort => $local || 0,
    ) or die "no socket for datagrams: $@\n";

    $s->blocking(0);

    $self->{to_addr} = $host =~ /:/
        ? Socket::pack_sockaddr_in6($port, inet_pton(AF_INET6, $host))
        : Socket::pack_sockaddr_in($port, inet_pton(AF_INET, $host));

    return $self->{udp} = $s;
}


sub udp { return $_[0]->{udp} }


# Options: those of socks_header(); raw, a whole datagram.

sub send_to {
    my ($self, $to, $data, %opts) = @_;
    my $bytes = defined $opts{raw} ? $opts{raw}
        : socks_header($to, %opts) . $data;

    log_out($bytes);

    for (1 .. 3) {
        return 1 if defined send $self->{udp}, $bytes, 0, $self->{to_addr};

        # an ICMP error of an earlier datagram
        return 0 if $! != ECONNREFUSED;
    }

    return 0;
}


# undef after the timeout

sub receive {
    my ($self, $timeout) = @_;
    my $deadline = time() + _or($timeout, $self->{timeout});

    while (1) {
        my $from = recv $self->{udp}, my $data, 65536, 0;

        if (defined $from) {
            log_in($data);
            my $m = socks_parse($data);
            $m->{via} = _text($from);
            return $m;
        }

        my $left = $deadline - time();
        return if $left <= 0;
        IO::Select->new($self->{udp})->can_read($left);
    }
}


# Sends until there is an answer: datagrams may get lost.

sub ask {
    my ($self, $to, $data, %opts) = @_;

    for my $try (1 .. 10) {
        $self->send_to($to, $data, %opts);
        my $m = $self->receive($opts{rto} || 3);
        return $m if $m;
    }

    return;
}


1;
