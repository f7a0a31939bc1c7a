package Test::Nginx::TRP::TURN;

# A TURN client in Perl that does exactly what a test says, right or wrong.
#
#     my $c = turn(port => port(8478), user => 'alice', password => 'secret');
#     is($c->allocate()->{code}, 0, 'allocated');
#     $c->permit('127.0.0.1');
#     $c->send_to('127.0.0.1:9', 'hello');
#     is($c->expect('data')->{attr}->{data}, 'hello', 'echo');
#
# A message that has been read is a hash:
#
#     method       "allocate", or a number
#     class        request, indication, success, error; "timeout" is what
#                  call() returns when there was no answer at all
#     code         of an error, 0 of a success
#     attr         the first of each attribute, by name: attr->{lifetime};
#                  unknown ones are "0x1234"
#     all          lists of them
#     order        their names as they came
#     signed       "sha1", "sha256", "sha1 sha256", "" or "bad"
#     fingerprint  1, 0 if it is wrong, undef if there is none
#     id, size, raw
#
# ChannelData is { class => 'channel', channel => 0x4000, data => ... }.
#
# An attribute to write is a pair of name (or number) and value, a reference
# to a string is a value as bytes.  RFC 8489, 8656, 6062.

use strict;
use warnings;

use Compress::Zlib ();
use Digest::MD5 qw/ md5 /;
use Digest::SHA qw/ hmac_sha1 hmac_sha1_base64 hmac_sha256 sha256 /;
use Errno qw/ ECONNREFUSED ECONNRESET EPIPE /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::IP;
use Scalar::Util qw/ weaken /;
use Socket qw/ AF_INET AF_INET6 IPPROTO_TCP SOCK_DGRAM SOL_SOCKET SO_LINGER
    TCP_NODELAY getnameinfo inet_ntop inet_pton NI_NUMERICHOST NI_NUMERICSERV /;
use Time::HiRes qw/ time /;

use Test::Nginx qw/ log_in log_out /;
use Test::Nginx::TRP::Transfer qw/ again /;

our @EXPORT = qw/
    turn stun_message stun_parse stun_key stun_rest channel_data
    turn_peer peer_addr peer_send peer_read
/;

use constant {
    TIMEOUT => 30,
    RTO => 0.5,
    COOKIE => 0x2112a442,
    SECURITY => 'obMatJos2',
};

my %methods = (
    binding => 1, allocate => 3, refresh => 4, send => 6, data => 7,
    createpermission => 8, channelbind => 9, connect => 10,
    connectionbind => 11, connectionattempt => 12,
);
my %method_names = reverse %methods;

my %classes = (request => 0, indication => 1, success => 2, error => 3);
my %class_names = reverse %classes;

# kinds: see _encode() and _decode()

my %attributes = (
    'mapped-address' => [ 0x0001, 'address' ],
    'username' => [ 0x0006 ],
    'message-integrity' => [ 0x0008 ],
    'error-code' => [ 0x0009, 'error' ],
    'unknown-attributes' => [ 0x000a, 'types' ],
    'channel-number' => [ 0x000c, 'short' ],
    'lifetime' => [ 0x000d, 'long' ],
    'xor-peer-address' => [ 0x0012, 'xor' ],
    'data' => [ 0x0013 ],
    'realm' => [ 0x0014 ],
    'nonce' => [ 0x0015 ],
    'xor-relayed-address' => [ 0x0016, 'xor' ],
    'requested-address-family' => [ 0x0017, 'family' ],
    'even-port' => [ 0x0018, 'even' ],
    'requested-transport' => [ 0x0019, 'byte' ],
    'dont-fragment' => [ 0x001a ],
    'message-integrity-sha256' => [ 0x001c ],
    'password-algorithm' => [ 0x001d, 'algorithms' ],
    'userhash' => [ 0x001e ],
    'xor-mapped-address' => [ 0x0020, 'xor' ],
    'reservation-token' => [ 0x0022 ],
    'priority' => [ 0x0024, 'long' ],
    'use-candidate' => [ 0x0025 ],
    'padding' => [ 0x0026 ],
    'connection-id' => [ 0x002a, 'long' ],
    'additional-address-family' => [ 0x8000, 'family' ],
    'address-error-code' => [ 0x8001, 'address_error' ],
    'password-algorithms' => [ 0x8002, 'algorithms' ],
    'alternate-domain' => [ 0x8003 ],
    'icmp' => [ 0x8004, 'icmp' ],
    'software' => [ 0x8022 ],
    'alternate-server' => [ 0x8023, 'address' ],
    'fingerprint' => [ 0x8028 ],
    'ice-controlled' => [ 0x8029 ],
);
my %attribute_names = map { $attributes{$_}->[0] => $_ } keys %attributes;

my %clients;


# messages as bytes

# stun_message(method, attributes, options).  MESSAGE-INTEGRITY (-SHA256) has
# the key as its value, and -SHA256 may be truncated: [ key, length ].  They
# and FINGERPRINT are computed where they stand.
#
# Options: class, "request" by default; id; cookie; length, another one for
# the header; type, all 16 bits of it; pad, the byte to pad with.

sub stun_message {
    my ($method, $attrs, %opts) = @_;
    my @attrs = @{$attrs || []};
    my $id = defined $opts{id} ? $opts{id} : stun_id();
    my $pad = defined $opts{pad} ? $opts{pad} : "\0";
    my $body = '';

    my $header = sub {
        my ($length) = @_;

        return pack 'n n N a12', _type($method, %opts), $length,
            defined $opts{cookie} ? $opts{cookie} : COOKIE, $id;
    };

    while (@attrs) {
        my ($name, $value) = splice @attrs, 0, 2;
        my ($type, $kind) = $attributes{$name} ? @{$attributes{$name}}
            : oct($name =~ /^0/ ? $name : sprintf '0x%x', $name);

        $value = '' if !defined $value;

        my $signed = sub { $header->(length($body) + 4 + $_[0]) . $body };

        my $bytes = ref $value eq 'SCALAR' ? $$value
            : $name eq 'message-integrity'
                ? hmac_sha1($signed->(20), $value)
            : $name eq 'message-integrity-sha256'
                ? _integrity256($signed, ref $value ? @$value : ($value, 32))
            : $name eq 'fingerprint' ? _fingerprint($signed->(4))
            : _encode($kind || '', $value, $id);

        $body .= pack('n n a*', $type, length $bytes, $bytes)
            . $pad x (-length($bytes) % 4);
    }

    return $header->(defined $opts{length} ? $opts{length} : length $body)
        . $body;
}


sub stun_id {
    return join '', map { chr int rand 256 } 1 .. 12;
}


sub channel_data {
    my ($number, $data, %opts) = @_;

    return pack('n n', $number,
            defined $opts{length} ? $opts{length} : length $data)
        . $data . "\0" x ($opts{pad} ? -length($data) % 4 : 0);
}


sub _type {
    my ($method, %opts) = @_;

    return $opts{type} if defined $opts{type};

    my $m = exists $methods{$method} ? $methods{$method} : $method;
    my $c = $classes{$opts{class} || 'request'};

    return $m & 0xf | ($m & 0x70) << 1 | ($m & 0xf80) << 2
        | ($c & 1) << 4 | ($c & 2) << 7;
}


sub _integrity256 {
    my ($signed, $key, $length) = @_;
    return substr hmac_sha256($signed->($length), $key), 0, $length;
}


sub _fingerprint {
    return pack 'N', Compress::Zlib::crc32($_[0]) ^ 0x5354554e;
}


sub _encode {
    my ($kind, $value, $id) = @_;

    return _address($value) if $kind eq 'address';
    return _address($value, $id) if $kind eq 'xor';
    return pack 'n x2', $value if $kind eq 'short';
    return pack 'N', $value if $kind eq 'long';
    return pack 'C x3', $value if $kind eq 'byte';
    return pack 'C', $value ? 0x80 : 0 if $kind eq 'even';
    return pack 'n*', @$value if $kind eq 'types';
    return pack 'x2 C C a*', int $value->[0] / 100, $value->[0] % 100,
        $value->[1] if $kind eq 'error';
    return join '', map { pack 'n n', $_, 0 } ref $value ? @$value : $value
        if $kind eq 'algorithms';
    return pack 'C x3', $value eq 'ipv4' ? 1 : $value eq 'ipv6' ? 2 : $value
        if $kind eq 'family';
    return $value;
}


# "192.0.2.1:80" or "[2001:db8::1]:80"; without a port it is 0

sub _address {
    my ($text, $id) = @_;
    my ($host, $port) = _split($text);

    my $bytes = $host =~ /:/ ? pack 'C C n a16', 0, 2, $port,
            inet_pton(AF_INET6, $host)
        : pack 'C C n a4', 0, 1, $port, inet_pton(AF_INET, $host);

    return defined $id ? _xor($bytes, $id) : $bytes;
}


sub _split {
    my ($text) = @_;

    return ($1, defined $2 ? $2 : 0) if $text =~ /^\[(.*)\](?::(\d+))?$/;
    return ($1, $2) if $text =~ /^([^:]*):(\d+)$/;
    return ($text, 0);
}


# port and address, with the magic cookie and the transaction id

sub _xor {
    my ($bytes, $id) = @_;
    my $cookie = pack 'N', COOKIE;
    my $mask = "\0\0" . substr($cookie, 0, 2) . $cookie . $id;

    return $bytes ^ substr $mask . "\0" x length $bytes, 0, length $bytes;
}


# bytes as messages; undef if they are none

sub stun_parse {
    my ($bytes, %opts) = @_;

    return if length $bytes < 4;
    my ($type, $length) = unpack 'n n', $bytes;

    return { class => 'channel', channel => $type, size => length $bytes,
            raw => $bytes, data => substr $bytes, 4, $length }
        if $type >= 0x4000 && $type <= 0x7fff && length $bytes >= 4 + $length;

    return if length $bytes != 20 + $length || $type >= 0x4000;
    my ($cookie, $id) = unpack 'x4 N a12', $bytes;

    my $method = $type & 0xf | $type >> 1 & 0x70 | $type >> 2 & 0xf80;
    my $m = {
        method => $method_names{$method} || $method,
        class => $class_names{$type >> 4 & 1 | $type >> 7 & 2},
        cookie => $cookie,
        id => $id,
        size => length $bytes,
        raw => $bytes,
        attr => {},
        all => {},
        order => [],
        at => {},
    };

    my $pos = 20;

    while ($pos < length $bytes) {
        return if length($bytes) - $pos < 4;
        my ($t, $l) = unpack "x$pos n n", $bytes;
        return if length($bytes) - $pos - 4 < $l + -$l % 4;

        my $name = $attribute_names{$t} || sprintf '0x%04x', $t;
        my $kind = $attributes{$name} ? $attributes{$name}->[1] : '';
        my $value = _decode($kind || '', substr($bytes, $pos + 4, $l), $id);

        push @{$m->{order}}, $name;
        push @{$m->{all}->{$name}}, $value;
        $m->{attr}->{$name} = $value if !exists $m->{attr}->{$name};
        $m->{at}->{$name} = $pos if !exists $m->{at}->{$name};

        $pos += 4 + $l + -$l % 4;
    }

    my $error = $m->{attr}->{'error-code'};
    $m->{code} = $m->{class} eq 'success' ? 0 : $error ? $error->[0] : undef;
    $m->{reason} = $error->[1] if $error;
    $m->{fingerprint} = _check_fingerprint($m);
    $m->{signed} = _check_integrity($m, $opts{key});

    return $m;
}


sub _decode {
    my ($kind, $bytes, $id) = @_;
    my $length = length $bytes;

    return _address_text($bytes) if $kind eq 'address';
    return _address_text(_xor($bytes, $id)) if $kind eq 'xor';
    return unpack 'n', $bytes if $kind eq 'short' && $length == 4;
    return unpack 'N', $bytes if $kind eq 'long' && $length == 4;
    return unpack 'C', $bytes
        if $kind =~ /^(?:byte|even|family)$/ && $length;
    return [ unpack 'n*', $bytes ] if $kind eq 'types';
    return _error(unpack 'x2 C C a*', $bytes)
        if $kind eq 'error' && $length >= 4;

    if ($kind eq 'address_error' && $length >= 4) {
        my ($family, $class, $number, $reason) = unpack 'C x C C a*', $bytes;
        return [ @{_error($class, $number, $reason)}, $family ];
    }

    if ($kind eq 'icmp' && $length == 8) {
        my ($icmp, $data) = unpack 'x2 n N', $bytes;
        return { type => $icmp >> 9, code => $icmp & 0x1ff, data => $data };
    }

    if ($kind eq 'algorithms') {
        my @all;

        while (length $bytes >= 4) {
            my ($number, $params) = unpack 'n n', $bytes;
            push @all, $number;
            substr $bytes, 0, 4 + $params + -$params % 4, '';
        }

        return \@all;
    }

    return $bytes;
}


sub _error {
    my ($class, $number, $reason) = @_;
    return [ ($class & 7) * 100 + $number, $reason ];
}


sub _address_text {
    my ($bytes) = @_;
    my ($family, $port) = unpack 'x C n', $bytes;

    return length $bytes == 8 && $family == 1
            ? inet_ntop(AF_INET, substr $bytes, 4) . ":$port"
        : length $bytes == 20 && $family == 2
            ? '[' . inet_ntop(AF_INET6, substr $bytes, 4) . "]:$port"
        : 'invalid ' . unpack 'H*', $bytes;
}


sub _check_fingerprint {
    my ($m) = @_;
    my $at = $m->{at}->{fingerprint};

    return if !defined $at;
    return $m->{size} == $at + 8 && $m->{attr}->{fingerprint}
        eq _fingerprint(substr $m->{raw}, 0, $at) ? 1 : 0;
}


sub _check_integrity {
    my ($m, $key) = @_;
    my @signed;

    for my $name (qw/ message-integrity message-integrity-sha256 /) {
        my $at = $m->{at}->{$name};
        next if !defined $at;

        my $value = $m->{attr}->{$name};
        my $bytes = substr $m->{raw}, 0, $at;
        substr $bytes, 2, 2, pack 'n', $at - 20 + 4 + length $value;

        my $sha256 = $name =~ /256/;
        my $right = !defined $key ? '' : !$sha256 ? hmac_sha1($bytes, $key)
            : substr hmac_sha256($bytes, $key), 0, length $value;

        return 'bad' if $value eq '' || $value ne $right;
        push @signed, $sha256 ? 'sha256' : 'sha1';
    }

    return join ' ', @signed;
}


# credentials

# the key of long-term credentials; "md5" or "sha256"

sub stun_key {
    my ($user, $realm, $password, $algorithm) = @_;
    my $text = "$user:$realm:$password";

    return ($algorithm || 'md5') eq 'sha256' ? sha256($text) : md5($text);
}


# the password of a time-limited user name

sub stun_rest {
    my ($secret, $user) = @_;
    my $base64 = hmac_sha1_base64($user, $secret);
    return $base64 . '=' x (-length($base64) % 4);
}


# A client; dies if it can't connect.  Options:
#
#     port
#     host        127.0.0.1
#     from        the client's own address, from_port
#     transport   udp, tcp or tls
#     user, password, realm (that of the server), nonce
#     key         instead of the password
#     algorithm   "md5" or "sha256" for a client of RFC 8489, which sends
#                 PASSWORD-ALGORITHM(S) when the server offers them
#     integrity   "sha1" (default), "sha256", "both" or "none"
#     userhash    1: USERHASH instead of USERNAME
#     fingerprint 1: in each request
#     software    SOFTWARE of each request
#     timeout     of all waiting
#     socket      a socket that is there already

sub turn {
    return __PACKAGE__->new(@_);
}


sub new {
    my ($class, %opts) = @_;

    my $self = bless {
        host => '127.0.0.1',
        transport => 'udp',
        integrity => 'sha1',
        timeout => TIMEOUT,
        in => '',
        queue => [],
        %opts,
    }, $class;

    $self->{socket} ||= $self->_connect();
    $self->{socket}->blocking(0);
    $self->{stream} = $self->{transport} ne 'udp';

    weaken($clients{$self} = $self);
    return $self;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    delete $clients{$self};
    $self->close();
}


# so that nginx, which stops after the test, does not wait for them

END {
    $_->close() for grep { defined } values %clients;
}


sub _connect {
    my ($self) = @_;
    my $udp = $self->{transport} eq 'udp';

    my $s = IO::Socket::IP->new(
        Proto => $udp ? 'udp' : 'tcp',
        PeerHost => $self->{host},
        PeerPort => $self->{port},
        $self->{from} ? (LocalHost => $self->{from}) : (),
        $self->{from_port} ? (LocalPort => $self->{from_port}) : (),
    ) or die "can't connect to $self->{port}: $@\n";

    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1 if !$udp;
    return $s if $self->{transport} ne 'tls';

    require IO::Socket::SSL;

    return IO::Socket::SSL->start_SSL($s,
        SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE(),
        Timeout => $self->{timeout},
        %{$self->{ssl} || {}},
    ) || die 'no TLS: ' . IO::Socket::SSL::errstr() . "\n";
}


sub socket { return $_[0]->{socket} }
sub queue { return @{$_[0]->{queue}} }


# the client's own address as the server should see it

sub addr {
    my ($self) = @_;
    return peer_addr($self->{socket});
}


sub close {
    my ($self) = @_;
    my $s = delete $self->{socket} or return;

    return $s->close(SSL_no_shutdown => 1) if $s->isa('IO::Socket::SSL');
    $s->close();
}


# closes with a reset

sub abort {
    my ($self) = @_;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->close();
}


# sending bytes

sub write {
    my ($self, $data) = @_;
    my $s = $self->{socket};

    local $SIG{PIPE} = 'IGNORE';
    log_out($data);

    if (!$self->{stream}) {
        for (1 .. 3) {
            my $n = CORE::send($s, $data, 0);
            return 1 if defined $n;

            # an ICMP error of an earlier datagram
            return 0 if $! != ECONNREFUSED;
        }
        return 0;
    }

    while (length $data) {
        my $n = $s->syswrite($data, 16384);

        if ($n) {
            substr $data, 0, $n, '';
            next;
        }

        return 0 if !again()
            || !IO::Select->new($s)->can_write($self->{timeout});
    }

    return 1;
}


# one byte at a time

sub write_slowly {
    my ($self, $data) = @_;
    $self->write($_) || return 0 for split //, $data;
    return 1;
}


# reading

# The next message, or undef; end() says why then: eof, reset, timeout, or
# garbage in a stream.  Bytes in a datagram that are no message are
# { class => 'garbage' }.

sub read {
    my ($self, $timeout) = @_;

    return shift @{$self->{queue}} if @{$self->{queue}};
    return $self->_next(time() + _or($timeout, $self->{timeout}));
}


# The next one that a condition is true for, the others stay for later.  A
# string is a method or class: "data" is Data indications, "channel" is
# ChannelData.

sub expect {
    my ($self, $what, $timeout) = @_;
    my $deadline = time() + _or($timeout, $self->{timeout});
    my $queue = $self->{queue};

    my $is = ref $what ? $what
        : sub { $_[0]->{class} eq $what || ($_[0]->{method} || '') eq $what };

    for my $i (0 .. $#$queue) {
        return splice @$queue, $i, 1 if $is->($queue->[$i]);
    }

    while (my $m = $self->_next($deadline)) {
        return $m if $is->($m);
        push @$queue, $m;
    }

    return;
}


# True if there is nothing to read: what the server has sent before it has
# answered this Binding request would be here.

sub quiet {
    my ($self) = @_;
    return $self->binding()->{code} eq '0' && !@{$self->{queue}} ? 1 : 0;
}


sub end { return $_[0]->{end} }


# reads and drops everything until the end: eof, reset or timeout

sub end_of {
    my ($self, $timeout) = @_;
    my $deadline = time() + _or($timeout, $self->{timeout});

    1 while $self->_fill($deadline);
    return $self->{end};
}


# Of a data connection (RFC 6062): so many bytes, or all until the end.

sub read_bytes {
    my ($self, $length) = @_;
    my $deadline = time() + $self->{timeout};

    while (!defined $length || length $self->{in} < $length) {
        last if !$self->_fill($deadline);
    }

    return substr $self->{in}, 0,
        defined $length ? $length : length $self->{in}, '';
}


sub shutdown {
    my ($self) = @_;
    CORE::shutdown $self->{socket}, 1;
}


sub _next {
    my ($self, $deadline) = @_;

    while (1) {
        my $bytes = $self->_frame();

        if (defined $bytes) {
            log_in($bytes);
            return stun_parse($bytes, key => scalar $self->key())
                || { class => 'garbage', raw => $bytes, size => length $bytes };
        }

        return if !$self->_fill($deadline);
    }
}


# a datagram, or what is one message of a stream

sub _frame {
    my ($self) = @_;

    return shift @{$self->{datagrams}} if !$self->{stream};

    return if length $self->{in} < 4;
    my ($type, $length) = unpack 'n n', $self->{in};

    my $size = $type < 0x4000 ? 20 + $length
        : $type < 0x8000 ? 4 + $length + -$length % 4 : 0;

    if (!$size) {
        $self->{end} = 'garbage';
        return;
    }

    return if length $self->{in} < $size;
    return substr $self->{in}, 0, $size, '';
}


sub _fill {
    my ($self, $deadline) = @_;
    my $s = $self->{socket};

    return 0 if $self->{end};

    while (1) {
        my ($n, $data);

        if ($self->{stream}) {
            $n = $s->sysread($data, 65536);
        } else {
            $n = defined CORE::recv($s, $data, 65536, 0) ? 1 : undef;
        }

        if ($n) {
            push @{$self->{datagrams}}, $data if !$self->{stream};
            $self->{in} .= $data if $self->{stream};
            return 1;
        }

        if (defined $n || !again()) {
            next if !$self->{stream} && $! == ECONNREFUSED;
            $self->{end} = defined $n ? 'eof'
                : $! == ECONNRESET || $! == EPIPE ? 'reset' : 'error';
            return 0;
        }

        my $left = $deadline - time();
        return 0 if $left <= 0;
        IO::Select->new($s)->can_read($left);
    }
}


sub _or {
    return defined $_[0] ? $_[0] : $_[1];
}


# requests

# The bytes of a request with the credentials that the client has by now.
# Options: those of new(), of stun_message(); anonymous => 1 leaves all of
# the credentials out; without => [ 'nonce' ] some of them; tail, attributes
# after those.

sub request {
    my ($self, $method, $attrs, %opts) = @_;
    my %o = (%$self, %opts);
    my %without = map { $_ => 1 } @{$o{without} || []};
    my @attrs = @{$attrs || []};

    push @attrs, software => $o{software} if defined $o{software};

    if (defined $o{nonce} && defined $o{user} && !$o{anonymous}) {
        my @auth = ($o{userhash}
            ? (userhash => sha256("$o{user}:$o{realm}"))
            : (username => $o{user}),
            realm => $o{realm}, nonce => $o{nonce});

        push @auth, 'password-algorithms' => $o{algorithms},
            'password-algorithm' => $o{algorithm} eq 'sha256' ? 2 : 1
            if $o{algorithm} && $o{algorithms};

        push @auth, 'message-integrity' => $self->key(%opts)
            if $o{integrity} =~ /^(?:sha1|both)$/;
        push @auth, 'message-integrity-sha256' => $self->key(%opts)
            if $o{integrity} =~ /^(?:sha256|both)$/;

        while (my ($name, $value) = splice @auth, 0, 2) {
            push @attrs, $name, $value if !$without{$name};
        }
    }

    push @attrs, @{$o{tail} || []};
    push @attrs, fingerprint => '' if $o{fingerprint};

    return stun_message($method, \@attrs, map { $_ => $opts{$_} }
        grep { exists $opts{$_} } qw/ id class cookie length type pad /);
}


# what the client signs with; undef without credentials

sub key {
    my ($self, %opts) = @_;
    my %o = (%$self, %opts);

    return $o{key} if defined $o{key};
    return if grep { !defined $o{$_} } qw/ user password realm /;
    return stun_key(@o{qw/ user realm password /},
        $o{algorithms} && $o{algorithm} || 'md5');
}


# Sends a request, returns the answer; takes a new nonce when the server asks
# for credentials or the nonce is stale, unless retry => 0.  A datagram is
# repeated until there is an answer.  Options are those of request().

sub call {
    my ($self, $method, $attrs, %opts) = @_;
    my $retry = _or(delete $opts{retry}, 1);
    my $id = $opts{id};
    my $answer;

    for my $try (1 .. 3) {
        $opts{id} = defined $id && $try == 1 ? $id : stun_id();

        $answer = $self->exchange($self->request($method, $attrs, %opts),
            $opts{timeout});

        last if !$retry || !defined $self->{user} || $opts{anonymous}
            || $answer->{code} !~ /^(?:401|438)$/
            || $answer->{code} == 401 && $try > 1;

        $self->learn($answer) or last;
    }

    return $answer;
}


# takes realm, nonce and algorithms out of an answer

sub learn {
    my ($self, $answer) = @_;
    my $attr = $answer->{attr};

    return 0 if !defined $attr->{nonce} || !defined $attr->{realm};

    $self->{nonce} = $attr->{nonce};
    $self->{realm} = $attr->{realm};

    if ($attr->{'password-algorithms'}
        && $attr->{nonce} =~ /^\Q${\SECURITY}\E/)
    {
        $self->{algorithms} = $attr->{'password-algorithms'};
    }

    return 1;
}


# Sends the bytes of a request, waits for the answer to it.

sub exchange {
    my ($self, $bytes, $timeout) = @_;
    my $id = substr $bytes, 8, 12;
    my $deadline = time() + _or($timeout, $self->{timeout});
    my $rto = RTO;

    my $is_answer = sub {
        return ($_[0]->{id} || '') eq $id
            && $_[0]->{class} =~ /^(?:success|error)$/;
    };

    $self->write($bytes);

    while (1) {
        my $left = $deadline - time();
        last if $left <= 0;

        my $wait = $self->{stream} || $rto > $left ? $left : $rto;
        my $answer = $self->expect($is_answer, $wait);
        return $answer if $answer;

        last if $self->{end};
        $self->write($bytes) if !$self->{stream};
        $rto *= 2;
    }

    return { class => 'timeout', code => $self->{end} || 'timeout',
        attr => {}, all => {}, order => [], signed => '', size => 0 };
}


# an indication, which is not answered

sub indicate {
    my ($self, $method, $attrs, %opts) = @_;
    return $self->write(stun_message($method, $attrs, class => 'indication',
        %opts));
}


# what clients do

sub binding {
    my ($self, %opts) = @_;
    return $self->call('binding', $opts{attrs}, %opts, anonymous => 1);
}


# Attributes other than REQUESTED-TRANSPORT: allocate([ 'even-port' => 1 ]).

sub allocate {
    my ($self, $attrs, %opts) = @_;
    my $protocol = delete $opts{protocol};

    my $answer = $self->call('allocate', [ 'requested-transport' =>
        ($protocol || 'udp') eq 'tcp' ? 6 : 17, @{$attrs || []} ], %opts);

    if ($answer->{code} eq '0') {
        my @all = @{$answer->{all}->{'xor-relayed-address'} || []};
        ($self->{relayed}) = @all;
        ($self->{relayed4}) = grep { !/^\[/ } @all;
        ($self->{relayed6}) = grep { /^\[/ } @all;
    }

    return $answer;
}


sub relayed { return $_[0]->{relayed} }
sub relayed4 { return $_[0]->{relayed4} }
sub relayed6 { return $_[0]->{relayed6} }


sub refresh {
    my ($self, $lifetime, $attrs, %opts) = @_;
    return $self->call('refresh', [ defined $lifetime
        ? (lifetime => $lifetime) : (), @{$attrs || []} ], %opts);
}


sub permit {
    my ($self, @peers) = @_;
    return $self->call('createpermission',
        [ map { ('xor-peer-address' => $_) } @peers ]);
}


sub bind_channel {
    my ($self, $number, $peer, %opts) = @_;
    return $self->call('channelbind', [ 'channel-number' => $number,
        'xor-peer-address' => $peer ], %opts);
}


sub send_to {
    my ($self, $peer, $data, @attrs) = @_;
    return $self->indicate('send', [ 'xor-peer-address' => $peer,
        @attrs, data => $data ]);
}


sub send_channel {
    my ($self, $number, $data) = @_;
    return $self->write(channel_data($number, $data, pad => $self->{stream}));
}


# RFC 6062: a second connection for a CONNECTION-ID, and the answer to it.
# What comes after the answer is left for read_bytes().  Options are those
# of new() and call().

sub bind_connection {
    my ($self, $id, %opts) = @_;
    my %creds = map { $_ => $self->{$_} } grep { defined $self->{$_} }
        qw/ host port from transport user password key realm nonce
        algorithm algorithms integrity userhash ssl timeout /;

    my $data = ref($self)->new(%creds, %opts);

    return ($data,
        $data->call('connectionbind', [ 'connection-id' => $id ]));
}


# the other side: UDP sockets

sub turn_peer {
    my ($host, $port) = @_;

    my $s = IO::Socket::IP->new(Proto => 'udp', Type => SOCK_DGRAM,
        LocalHost => $host || '127.0.0.1', LocalPort => $port || 0)
        or die "no socket for a peer: $@\n";

    $s->blocking(0);
    return $s;
}


# "127.0.0.1:1234" of a socket or of a packed address

sub peer_addr {
    my ($s) = @_;
    my ($error, $host, $port) = getnameinfo(ref $s ? getsockname $s : $s,
        NI_NUMERICHOST | NI_NUMERICSERV);

    return $error ? '' : $host =~ /:/ ? "[$host]:$port" : "$host:$port";
}


sub peer_send {
    my ($s, $to, $data) = @_;
    my ($host, $port) = _split($to);

    return CORE::send($s, $data, 0, $host =~ /:/
        ? Socket::pack_sockaddr_in6($port, inet_pton(AF_INET6, $host))
        : Socket::pack_sockaddr_in($port, inet_pton(AF_INET, $host)));
}


# data, and in list context where it came from; nothing after the timeout

sub peer_read {
    my ($s, $timeout) = @_;
    my $deadline = time() + _or($timeout, TIMEOUT);

    while (1) {
        my $from = CORE::recv($s, my $data, 65536, 0);
        return wantarray ? ($data, peer_addr($from)) : $data
            if defined $from;

        my $left = $deadline - time();
        return if $left <= 0;
        IO::Select->new($s)->can_read($left);
    }
}


1;
