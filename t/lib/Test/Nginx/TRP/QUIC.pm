package Test::Nginx::TRP::QUIC;

# What tests of QUIC need: builds without it, and packets made by hand, for
# peers that do not keep to the rules.
#
#     my $missing = quic_missing();
#     plan(skip_all => $missing) if $missing;
#
#     my %keys = initial_keys($dcid);           # {client}, {server}
#     my $packet = initial_packet($dcid, $scid, $frames, %options);
#     my %seen = quic_header($packet);          # what anybody can read
#     my $frames = initial_open($packet, $dcid, 'server');
#     my @datagrams = exchange(quic_socket(), $packet);

use strict;
use warnings;

use Exporter qw/ import /;

use IO::Select;
use IO::Socket::INET;

use Test::Nginx qw/ port /;

our @EXPORT = qw/
    quic_missing quic_socket exchange
    quic_header quic_packets initial_keys initial_packet initial_open
    crypto_frame client_hello quic_int retry_good
/;

# RFC 9001, 5.2 and 5.8

use constant SALT => pack 'H*', '38762cf7f55934b34d179ae6a4c80cadccbb7f0a';
use constant RETRY_KEY => pack 'H*', 'be0c690b9f66575a1d766b54e368c84e';
use constant RETRY_NONCE => pack 'H*', '461599d35d632bf2239825bb';


# a reason to skip, or nothing

sub quic_missing {
    my @files = ($ENV{TEST_NGINX_GLOBALS} || '') =~ /load_module ([^;]*)/g;
    @files = grep { /trp_relay/ } @files;
    @files = ($ENV{TRP_NGINX} || $Test::Nginx::NGINX) if !@files;

    for my $file (@files) {
        open my $fh, '<:raw', $file or next;
        local $/;
        return if index(<$fh>, 'SSL_set_quic_tls_cbs') >= 0;
    }

    return 'this build has no QUIC';
}


# to the relay of the test: 8443, for UDP

sub quic_socket {
    my (%o) = @_;

    return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1',
        PeerPort => port(8443, udp => 1), %o) || die "no socket: $@\n";
}


# sends, and returns the datagrams that come until there is a pause

sub exchange {
    my ($s, $datagram, $pause) = @_;
    my @got;

    $s->send($datagram) if defined $datagram;

    while (IO::Select->new($s)->can_read($pause // 1)) {
        defined $s->recv(my $data, 65536) or last;
        push @got, $data;
    }

    return @got;
}


# variable-length integers

sub quic_int {
    my ($n) = @_;

    return $n < 64 ? pack('C', $n) : $n < 16384 ? pack('n', $n | 0x4000)
        : pack('N', $n | 0x80000000);
}


sub _take_int {
    my ($data, $at) = @_;
    my $len = 1 << (ord(substr $data, $at, 1) >> 6);
    my $n = ord(substr $data, $at, 1) & 0x3f;

    $n = $n * 256 + ord(substr $data, $at + $_, 1) for 1 .. $len - 1;

    return ($n, $at + $len);
}


# The readable part of the first packet of a datagram: long, type (initial,
# 0rtt, handshake, retry, negotiation, short), version, dcid, scid, token,
# length (of what belongs to the packet), number (where the number begins).

sub quic_header {
    my ($p, $short_len) = @_;
    my $first = ord $p;

    if (!($first & 0x80)) {
        return (type => 'short', length => length $p,
            dcid => substr $p, 1, $short_len || 12);
    }

    my %h = (long => 1, version => unpack 'x N', $p);
    my $at = 5;

    for (qw/ dcid scid /) {
        my $len = ord substr $p, $at, 1;
        $h{$_} = substr $p, $at + 1, $len;
        $at += 1 + $len;
    }

    if (!$h{version}) {
        $h{type} = 'negotiation';
        $h{versions} = [ unpack 'N*', substr $p, $at ];
        $h{length} = length $p;
        return %h;
    }

    $h{type} = (qw/ initial 0rtt handshake retry /)[($first >> 4) & 3];

    if ($h{type} eq 'retry') {
        $h{token} = substr $p, $at, length($p) - $at - 16;
        $h{tag} = substr $p, -16;
        $h{length} = length $p;
        return %h;
    }

    if ($h{type} eq 'initial') {
        (my $len, $at) = _take_int($p, $at);
        $h{token} = substr $p, $at, $len;
        $at += $len;
    }

    (my $len, $at) = _take_int($p, $at);
    @h{qw/ number length /} = ($at, $at + $len);

    return %h;
}


# the packets of a datagram

sub quic_packets {
    my ($datagram, @rest) = @_;
    my @packets;

    while (length $datagram && ord $datagram) {
        my %h = quic_header($datagram, @rest);
        push @packets, substr $datagram, 0, $h{length}, '';
    }

    return @packets;
}


sub _hmac {
    my ($key, $data) = @_;
    require Digest::SHA;
    return Digest::SHA::hmac_sha256($data, $key);
}


sub _expand {
    my ($secret, $label, $len) = @_;
    my $info = pack 'n C/a* C', $len, "tls13 $label", 0;

    return substr _hmac($secret, $info . "\1"), 0, $len;
}


sub initial_keys {
    my ($dcid) = @_;
    my $initial = _hmac(SALT, $dcid);
    my %keys;

    for (qw/ client server /) {
        my $secret = _expand($initial, "$_ in", 32);

        $keys{$_} = { key => _expand($secret, 'quic key', 16),
            iv => _expand($secret, 'quic iv', 12),
            hp => _expand($secret, 'quic hp', 16) };
    }

    return %keys;
}


sub _nonce {
    my ($iv, $number) = @_;
    return $iv ^ pack 'N3', 0, 0, $number;
}


# A client's Initial.  Options: number (0), token, version, keys (those of
# another connection id), size (1200, of the datagram), from ("client").

sub initial_packet {
    my ($dcid, $scid, $frames, %o) = @_;

    require Crypt::AuthEnc::GCM;
    require Crypt::Cipher::AES;

    my %keys = initial_keys(defined $o{keys} ? $o{keys} : $dcid);
    my $k = $keys{$o{from} || 'client'};
    my $number = $o{number} || 0;
    my $token = defined $o{token} ? $o{token} : '';
    my $version = defined $o{version} ? $o{version} : 1;

    my $header = pack('C N C/a* C/a*', 0xc3, $version, $dcid, $scid)
        . quic_int(length $token) . $token;

    # the length takes two bytes

    my $pad = ($o{size} || 1200) - length($header) - 2 - 4 - 16
        - length $frames;
    $frames .= "\0" x $pad if $pad > 0;

    $header .= pack('n', 0x4000 | (4 + 16 + length $frames))
        . pack('N', $number);

    my $gcm = Crypt::AuthEnc::GCM->new('AES', $k->{key},
        _nonce($k->{iv}, $number));
    $gcm->adata_add($header);
    my $sealed = $gcm->encrypt_add($frames);
    $sealed .= $gcm->encrypt_done();

    my $mask = Crypt::Cipher::AES->new($k->{hp})
        ->encrypt(substr $sealed, 0, 16);

    substr($header, 0, 1) ^= substr($mask, 0, 1) & "\x0f";
    substr($header, -4) ^= substr $mask, 1, 4;

    return $header . $sealed;
}


# The frames of an Initial, undef if it is not authentic.  $dcid is the one that
# the client chose, or that of a Retry.

sub initial_open {
    my ($packet, $dcid, $from) = @_;

    require Crypt::AuthEnc::GCM;
    require Crypt::Cipher::AES;

    my %h = quic_header($packet);
    my %keys = initial_keys($dcid);
    my $k = $keys{$from || 'server'};

    my $at = $h{number};
    my $mask = Crypt::Cipher::AES->new($k->{hp})
        ->encrypt(substr $packet, $at + 4, 16);

    my $first = substr($packet, 0, 1) ^ (substr($mask, 0, 1) & "\x0f");
    my $len = 1 + (ord($first) & 3);
    my $number = substr($packet, $at, $len) ^ substr $mask, 1, $len;

    my $header = $first . substr($packet, 1, $at - 1) . $number;
    my $sealed = substr $packet, $at + $len, $h{length} - $at - $len;

    my $gcm = Crypt::AuthEnc::GCM->new('AES', $k->{key},
        _nonce($k->{iv}, unpack 'N', ("\0" x (4 - $len)) . $number));
    $gcm->adata_add($header);
    my $tag = substr $sealed, -16, 16, '';
    my $frames = $gcm->decrypt_add($sealed);

    return $gcm->decrypt_done($tag) ? $frames : undef;
}


# the tag of a Retry, for the id that the client had chosen

sub retry_good {
    my ($packet, $dcid) = @_;

    require Crypt::AuthEnc::GCM;

    my $tag = substr $packet, -16, 16, '';
    my $gcm = Crypt::AuthEnc::GCM->new('AES', RETRY_KEY, RETRY_NONCE);

    $gcm->adata_add(pack('C/a*', $dcid) . $packet);
    return $gcm->encrypt_done() eq $tag;
}


sub crypto_frame {
    my ($data, $offset) = @_;
    return "\x06" . quic_int($offset || 0) . quic_int(length $data) . $data;
}


# A ClientHello that a server answers.  Options: alpn ("trp/2"), name, scid
# (that of the packet), raw (more transport parameters).

sub client_hello {
    my (%o) = @_;

    require Crypt::PK::X25519;

    my $pk = Crypt::PK::X25519->new();
    $pk->generate_key();

    my $alpn = defined $o{alpn} ? $o{alpn} : 'trp/2';
    my $scid = defined $o{scid} ? $o{scid} : '';

    my $param = sub { quic_int($_[0]) . quic_int(length $_[1]) . $_[1] };

    my $params = $param->(0x0f, $scid)              # initial_source_cid
        . $param->(0x01, quic_int(15000))           # max_idle_timeout
        . $param->(0x04, quic_int(1 << 20))         # initial_max_data
        . $param->(0x05, quic_int(1 << 18))
        . $param->(0x06, quic_int(1 << 18))
        . $param->(0x07, quic_int(1 << 18))
        . $param->(0x08, quic_int(16))              # streams
        . $param->(0x09, quic_int(16))
        . (defined $o{raw} ? $o{raw} : '');

    my $ext = sub { pack 'n n/a*', @_ };

    my $extensions = $ext->(43, pack 'C n', 2, 0x0304)
        . $ext->(13, pack 'n n*', 14, 0x0403, 0x0503, 0x0804, 0x0805, 0x0806,
                0x0401, 0x0807)
        . $ext->(10, pack 'n n', 2, 0x001d)
        . $ext->(51, pack 'n/a*', pack 'n n/a*', 0x001d,
                $pk->export_key_raw('public'))
        . $ext->(16, pack 'n/a*', pack 'C/a*', $alpn)
        . $ext->(57, $params);

    $extensions .= $ext->(0, pack 'n/a*', pack 'C n/a*', 0, $o{name})
        if defined $o{name};

    my $random = join '', map { chr rand 256 } 1 .. 32;

    my $body = pack('n a32 C', 0x0303, $random, 0)
        . pack('n n n', 4, 0x1301, 0x1302) . "\1\0"
        . pack 'n/a*', $extensions;

    return "\1" . substr(pack('N', length $body), 1) . $body;
}


1;
