package Test::Nginx::TRP::Client;

# A tunnel's end in Perl: an agent that does exactly what a test says, right or
# wrong.
#
#     my $c = Test::Nginx::TRP::Client->new(port => port(8443));
#     my $ready = $c->login(key => $file, role => 'entry');
#     $c->send('OPEN', open_payload(port => 80));
#     is($c->expect('ACCEPT')->{type}, 'ACCEPT', 'accepted');
#
# See docs/protocol.md for the frames.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Temp ();
use IO::Select;
use IO::Socket::SSL;
use Scalar::Util qw/ weaken /;
use Socket qw/ inet_aton inet_ntoa IPPROTO_TCP SOL_SOCKET SO_LINGER
    TCP_NODELAY /;
use Time::HiRes qw/ time /;

use Test::Nginx qw/ log_in log_out /;
use Test::Nginx::TRP::Transfer qw/ again /;

our @EXPORT = qw/ frame open_payload refuse_payload slot_of /;

use constant {
    TIMEOUT => 30,
    VERSION => 2,
    EXPORTER => 'EXPORTER-Channel-Binding',
};

my %types = (
    HELLO => 1, AUTH => 2, READY => 3, MOVED => 4, ERROR => 5,
    OPEN => 16, ACCEPT => 17, REFUSE => 18, DATA => 19, END => 20,
    RESET => 21, DONE => 22, PING => 32, PONG => 33, DRAIN => 34,
    AGENTS => 35, PUBLISH => 36, PUBLISHED => 37,
);
my %names = reverse %types;

my %roles = (entry => 1, reverse => 2);

our %CODES = (
    protocol => 1, not_authorized => 2, no_agent => 3, draining => 4,
    not_allowed => 5, no_such_host => 6, refused => 7, timed_out => 8,
    limit => 9, failed => 10, not_published => 13, taken => 14,
);
my %codes = reverse %CODES;

my $has_cryptx = eval { require Crypt::PK::Ed25519; 1 };
my %public_keys;
my %clients;
my %contexts;


# frames as bytes

sub frame {
    my ($type, $payload, $flags) = @_;

    $type = $types{$type} if exists $types{$type};
    $payload = '' if !defined $payload;

    return pack('C C n', $type, $flags || 0, length $payload) . $payload;
}


# host (an IPv4 address or a name), port, user, user_port, name, id, proto,
# elsewhere, again, retries, spare (-32768: not known; undef: no such field)

sub open_payload {
    my (%opts) = @_;

    return pack('C a8', $opts{proto} || 6, $opts{id} || 'identity')
        . _endpoint($opts{host} || '127.0.0.1', $opts{port})
        . _endpoint($opts{user} || '127.0.0.1', $opts{user_port} || 1024)
        . _endpoint('127.0.0.1', 2048)
        . pack('C/a C C', $opts{name} || 'raw',
            ($opts{elsewhere} ? 1 : 0) + ($opts{again} ? 2 : 0),
            defined $opts{retries} ? $opts{retries} : 2)
        . (!exists $opts{spare} ? pack 's>', -32768
            : defined $opts{spare} ? pack 's>', $opts{spare} : '');
}


sub _endpoint {
    my ($host, $port) = @_;

    return $host =~ /^[\d.]+$/ ? pack 'C a4 n', 4, inet_aton($host), $port
        : pack 'C C/a n', 0, $host, $port;
}


# also of ERROR; a code is a number or one of the keys of %CODES

sub refuse_payload {
    my ($code, $retry, $text) = @_;

    $code = $CODES{$code} if exists $CODES{$code};
    return pack 'C C a*', $code, $retry ? 1 : 0, defined $text ? $text : '';
}


# the slot of a group

sub slot_of {
    my ($group) = @_;
    my $hash = 2166136261;

    $hash = (($hash ^ ord) * 16777619) & 0xffffffff for split //, $group;
    $hash ^= $hash >> 16;
    $hash ^= $hash >> 6;

    return $hash % 64;
}


# Connects, and dies if that fails.  Options: port, alpn, timeout, header (bytes
# before TLS), and those of IO::Socket::SSL.

sub new {
    my ($class, %opts) = @_;
    my $port = delete $opts{port};
    my $alpn = delete $opts{alpn} || [ 'trp/2' ];
    my $timeout = delete $opts{timeout} || TIMEOUT;
    my $header = delete $opts{header};

    # one context for many connections, as it takes time to make one

    $contexts{"@$alpn"} ||= IO::Socket::SSL::SSL_Context->new(
        SSL_verify_mode => SSL_VERIFY_NONE,
        SSL_alpn_protocols => $alpn,
    ) or die "no TLS context\n";

    my @addr = (PeerAddr => '127.0.0.1', PeerPort => $port);

    %opts = (
        SSL_reuse_ctx => $contexts{"@$alpn"},
        SSL_verify_mode => SSL_VERIFY_NONE,
        Timeout => $timeout,
        %opts,
    );

    my $s = defined $header
        ? IO::Socket::SSL->start_SSL(_after(\@addr, $header), %opts)
        : IO::Socket::SSL->new(@addr, %opts);

    die 'no TLS: ' . IO::Socket::SSL::errstr() . "\n" if !$s;

    $s->blocking(0);
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;

    my $self = bless { socket => $s, in => '', timeout => $timeout }, $class;

    weaken($clients{$self} = $self);
    return $self;
}


# a plain connection on which something was sent

sub _after {
    my ($addr, $header) = @_;

    my $s = IO::Socket::INET->new(@$addr) or die "can't connect: $!\n";
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;

    syswrite $s, $header;

    return $s;
}


sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    delete $clients{$self};
    $self->close();
}


# so that nginx, which stops after the test, does not wait for their streams

END {
    $_->close() for grep { defined } values %clients;
}


sub socket { return $_[0]->{socket} }


# An agent with a tunnel; dies if it gets none.  Options: port, timeout,
# and those of auth().

sub agent {
    my ($class, %opts) = @_;

    my $self = $class->new(map { $_ => delete $opts{$_} }
        grep { exists $opts{$_} } qw/ port timeout /);
    my $ready = $self->login(%opts);

    die "$opts{role} is not ready\n"
        if !$ready || $ready->{type} ne 'READY';
    return $self;
}


# Takes HELLO, answers with AUTH, returns the frame that follows.  Options
# are those of auth(); and "beside": other clients to be kept alive meanwhile.

sub login {
    my ($self, %opts) = @_;
    my $beside = delete $opts{beside} || [];
    my $hello = $self->expect('HELLO') or return;

    $self->write($self->auth($hello, %opts));
    return $self->read() if !@$beside;

    my $deadline = time() + $self->{timeout};

    while (1) {
        $_->answer_pings() for @$beside;

        my $frame = $self->read(timeout => 0.05);
        return $frame if $frame || $self->{end} ne 'timeout'
            || time() >= $deadline;
    }
}


# other frames are left for read()

sub answer_pings {
    my ($self) = @_;
    return if !defined fileno $self->{socket};

    my $frame = $self->read(timeout => 0.001) or return;
    $self->{in} = $frame->{bytes} . $self->{in};
}


# The bytes of AUTH: key (a file), role, group, name, weight, backup, flags (a
# string, none by default).  What is signed may differ from what is claimed: signed => { group => 'other' };
# public_key and signature replace the right ones.

sub auth {
    my ($self, $hello, %opts) = @_;

    my %claim = (version => VERSION, role => 'entry', group => '0',
        name => 'raw', nonce => 'n' x 32, weight => 1, backup => 0, flags => '',
        %opts);
    my $key = defined $claim{public_key} ? $claim{public_key}
        : public_key($claim{key});

    my $signature = defined $claim{signature} ? $claim{signature}
        : _sign($claim{key}, $self->transcript($hello, %claim,
            %{$claim{signed} || {}}));

    return frame('AUTH', pack('C C C/a C/a a32 a32 a64 n C a*',
        $claim{version}, _role($claim{role}), @claim{qw/ group name /}, $key,
        $claim{nonce}, $signature, @claim{qw/ weight backup flags /}));
}


sub transcript {
    my ($self, $hello, %claim) = @_;
    my $nonce = substr $hello->{payload}, 1, 32;

    return pack 'Z* C C C/a C/a a32 a32 a32', 'trp/2 auth', $claim{version},
        _role($claim{role}), @claim{qw/ group name /},
        defined $claim{relay_nonce} ? $claim{relay_nonce} : $nonce,
        $claim{nonce},
        defined $claim{exporter} ? $claim{exporter} : $self->exporter();
}


sub exporter {
    my ($self) = @_;
    return Net::SSLeay::export_keying_material(
        $self->{socket}->_get_ssl_object(), 32, EXPORTER, '');
}


sub _role {
    my ($role) = @_;
    return exists $roles{$role} ? $roles{$role} : $role;
}


sub public_key {
    my ($file) = @_;

    return $public_keys{$file} ||= substr _run(
        qw/ openssl pkey -pubout -outform DER -in /, $file), -32;
}


sub _sign {
    my ($file, $data) = @_;

    # if it is installed, it is faster than a process

    return Crypt::PK::Ed25519->new($file)->sign_message($data)
        if $has_cryptx;

    # the size of the input of Ed25519 must be known: no pipe

    my $tmp = File::Temp->new();
    binmode $tmp;
    print $tmp $data;
    close $tmp;

    return _run(qw/ openssl pkeyutl -sign -rawin -inkey /, $file,
        '-in', $tmp->filename());
}


sub _run {
    my (@command) = @_;

    open my $fh, '-|', @command or die "can't run $command[0]: $!\n";
    binmode $fh;
    my $output = do { local $/; <$fh> };
    close $fh or die "@command[0, 1] has failed\n";

    return $output;
}


# sending

sub send {
    my ($self, @frame) = @_;
    return $self->write(frame(@frame));
}


# 1 if everything could be sent

sub write {
    my ($self, $data) = @_;
    my $s = $self->{socket};

    local $SIG{PIPE} = 'IGNORE';
    log_out($data);

    while (length $data) {
        my $n = $s->syswrite($data, 16384);

        if (defined $n) {
            substr $data, 0, $n, '';
            next;
        }

        return 0 if !again()
            || !IO::Select->new($s)->can_write($self->{timeout});
    }

    return 1;
}


# a TLS record for each byte

sub write_slowly {
    my ($self, $data) = @_;
    $self->write($_) || return 0 for split //, $data;
    return 1;
}


# Reading.  The next frame is a hash: type (a name, or the number of an
# unknown one), flags, payload; what is known of the payload (slot, wanted,
# code, retry, text, host, port, user, user_port, agent).  PING is answered
# and not seen, unless pings => 1; AGENTS is not seen, unless agents => 1.
# Without a frame: undef, and end() says why: eof, reset or timeout.

sub read {
    my ($self, %opts) = @_;
    my $deadline = time() + ($opts{timeout} || $self->{timeout});

    while (1) {
        my $frame = $self->parse();

        if (!$frame) {
            return if !$self->_fill($deadline);
            next;
        }

        next if $frame->{type} eq 'AGENTS' && !$opts{agents};
        return $frame if $frame->{type} ne 'PING' || $opts{pings};
        $self->send('PONG');
    }
}


# the next frame if it is of that type; otherwise undef

sub expect {
    my ($self, $type, %opts) = @_;
    my $frame = $self->read(%opts);

    log_in("expected $type, got " . ($frame ? $frame->{type} : 'nothing'));
    return $frame && $frame->{type} eq $type ? $frame : undef;
}


# the bytes of DATA until another frame comes, which is left for read()

sub data {
    my ($self, %opts) = @_;
    my $data = '';

    while (my $frame = $self->read(%opts)) {
        if ($frame->{type} ne 'DATA') {
            $self->{in} = $frame->{bytes} . $self->{in};
            last;
        }

        $data .= $frame->{payload};
        last if defined $opts{length} && length $data >= $opts{length};
    }

    return $data;
}


sub end { return $_[0]->{end} }


# reads until the end: eof, reset or timeout

sub wait_end {
    my ($self, %opts) = @_;

    1 while $self->read(%opts);
    return $self->{end};
}


# the first frame of {in}, if it is there as a whole

sub parse {
    my ($self) = @_;

    return if length $self->{in} < 4;

    my ($type, $flags, $size) = unpack 'C C n', $self->{in};
    return if length $self->{in} < 4 + $size;

    my $bytes = substr $self->{in}, 0, 4 + $size, '';
    my $payload = substr $bytes, 4;
    my $name = $names{$type} || $type;
    my %frame = (type => $name, flags => $flags, payload => $payload,
        bytes => $bytes);

    @frame{qw/ slot wanted /} = unpack 'C n', $payload if $name eq 'READY';
    $frame{slot} = ord $payload if $name eq 'MOVED';
    %frame = (%frame, _parse_open($payload)) if $name eq 'OPEN';

    if ($name eq 'ERROR' || $name eq 'REFUSE') {
        @frame{qw/ code retry text /} = unpack 'C C a*', $payload;
        $frame{code} = $codes{$frame{code}} || $frame{code};
    }

    return \%frame;
}


sub _parse_open {
    my ($payload) = @_;
    my %open;

    (my $proto, $open{id}, $payload) = unpack 'C a8 a*', $payload;

    for my $name ('', 'user_', 'local_') {
        my ($family, $host, $port, $rest) = unpack 'C a a', $payload;

        ($host, $port, $rest) = $family == 4 ? unpack('x a4 n a*', $payload)
            : $family == 6 ? unpack('x a16 n a*', $payload)
            : unpack('x C/a n a*', $payload);
        $host = inet_ntoa($host) if $family == 4;

        @open{"${name}host", "${name}port"} = ($host, $port);
        $payload = $rest;
    }

    @open{qw/ agent flags retries spare /} = unpack 'C/a C C s>', $payload;
    return (%open, proto => $proto);
}


sub _fill {
    my ($self, $deadline) = @_;
    my $s = $self->{socket};

    while (1) {
        my $n = $s->sysread(my $data, 65536);

        if ($n) {
            log_in($data);
            $self->{in} .= $data;
            return 1;
        }

        if (defined $n || !again()) {
            $self->{end} = defined $n ? 'eof' : 'reset';
            return 0;
        }

        my $left = $deadline - time();
        next if $left > 0 && IO::Select->new($s)->can_read($left);

        $self->{end} = 'timeout';
        return 0;
    }
}


sub close {
    my ($self) = @_;
    $self->{socket}->close(SSL_no_shutdown => 1) if $self->{socket};
}


# closes with a reset

sub abort {
    my ($self) = @_;
    setsockopt $self->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $self->close();
}


1;
