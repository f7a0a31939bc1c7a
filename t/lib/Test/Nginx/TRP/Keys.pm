package Test::Nginx::TRP::Keys;

# Certificates and keys, made with openssl(1) in the directory of a test.
# A command that fails ends the test.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Copy qw/ copy /;
use MIME::Base64 qw/ encode_base64 /;
use POSIX ();

our @EXPORT = qw/
    trp_cert trp_ca trp_issue trp_crl trp_keys
/;


# Writes localhost.crt and localhost.key into the directory of an nginx, and
# the certificate alone into those of the others.

sub trp_cert {
    my ($t, @others) = @_;
    my $dir = $t->testdir();

    _openssl(qw/ req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
            -days 3650 -subj /,
        '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-out', "$dir/localhost.crt", '-keyout', "$dir/localhost.key");

    for my $other (@others) {
        my $file = $other->testdir() . '/localhost.crt';
        copy("$dir/localhost.crt", $file) or die "can't write $file: $!\n";
    }
}


# Writes NAME.crt and NAME.key of a certificate authority.

sub trp_ca {
    my ($t, $name) = @_;
    my $file = $t->testdir() . "/$name";

    _openssl(qw/ req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
            -days 3650 -addext /,
        'keyUsage=critical,keyCertSign,cRLSign', '-subj', "/CN=$name",
        '-out', "$file.crt", '-keyout', "$file.key");
}


# Writes NAME.crt, signed by an authority of the same directory, and NAME.key.
# Options: names, "DNS:localhost" by default; password of the key; authority,
# may issue others; for, the name of another authority, which gets a second
# certificate for its key.

sub trp_issue {
    my ($t, $ca, $name, %opts) = @_;
    my $dir = $t->testdir();
    my $password = $opts{password};
    my $for = $opts{for};

    my @key = $for ? ('-key', "$dir/$for.key")
        : (qw/ -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout /,
            "$dir/$name.key");

    my @kind = $for || $opts{authority}
        ? ('-addext', 'keyUsage=critical,keyCertSign,cRLSign')
        : ('-addext', 'basicConstraints=critical,CA:FALSE', '-addext',
            'subjectAltName=' . ($opts{names} || 'DNS:localhost'));

    _openssl(qw/ req -x509 -days 3650 /, @key, @kind,
        defined $password ? ('-passout', "pass:$password") : '-nodes',
        '-CA', "$dir/$ca.crt", '-CAkey', "$dir/$ca.key",
        '-subj', '/CN=' . ($for || $name), '-out', "$dir/$name.crt");
}


# Writes NAME.crl of an authority, in which the certificates of these names
# are revoked.

sub trp_crl {
    my ($t, $ca, @names) = @_;
    my $dir = $t->testdir();

    $t->write_file("$ca.index", '');
    $t->write_file("$ca.conf", "[ca]\ndefault_ca = own\n[own]\n"
        . "database = $dir/$ca.index\ndefault_md = sha256\n"
        . "default_crl_days = 30\n");

    my @ca = (qw/ ca -config /, "$dir/$ca.conf", '-cert', "$dir/$ca.crt",
        '-keyfile', "$dir/$ca.key");

    _openssl(@ca, '-revoke', "$dir/$_.crt") for @names;
    _openssl(@ca, qw/ -gencrl -out /, "$dir/$ca.crl");
}


# Writes an Ed25519 private key for each name into the directory of an nginx.
# Returns the lines for authorized_keys.

sub trp_keys {
    my ($t, @names) = @_;
    my @lines;

    for my $name (@names) {
        my $file = $t->testdir() . "/$name";

        _openssl(qw/ genpkey -algorithm ed25519 -out /, $file);
        chmod 0600, $file;

        # the last 32 bytes of the DER form are the key itself

        my $der = _openssl(qw/ pkey -pubout -outform DER -in /, $file);
        my $blob = pack 'N/a N/a', 'ssh-ed25519', substr($der, -32);

        push @lines, 'ssh-ed25519 ' . encode_base64($blob, '') . " $name";
    }

    return wantarray ? @lines : $lines[0];
}


sub _openssl {
    my @args = @_;

    my $pid = open my $fh, '-|';
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>', '/dev/null';
        exec 'openssl', @args or POSIX::_exit(127);
    }

    binmode $fh;
    my $output = do { local $/; <$fh> };
    close $fh or die "openssl $args[0] has failed\n";

    return $output;
}


1;
