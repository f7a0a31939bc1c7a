#!/usr/bin/perl

# Tests for SOCKS5 in front of a TURN server over TLS: its certificate is
# verified, and data goes over TLS as well.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use POSIX ();

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $turn = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);
my $entry = Test::Nginx->new();

turn_conf($turn);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $trp_status $status";
    access_log %%TESTDIR%%/access.log socks;

UPSTREAMS
}

EOC

# each one with its own port, from 8100 on: the TURN server, options

my @cases = (
    [ 'verified', 8478, 'ssl_trusted_certificate ca.crt', 'ssl_name localhost'
    ],
    [ 'address in the certificate', 8478, 'ssl_trusted_certificate ca.crt' ],
    [ 'not verified', 8478, 'ssl_verify off' ],
    [ 'certificate of the client', 8479, 'ssl_trusted_certificate ca.crt',
        'ssl_certificate client.crt', 'ssl_certificate_key client.key' ],
    [ 'not revoked', 8478, 'ssl_trusted_certificate ca.crt',
        'ssl_crl clean.crl' ],
);

my @wrong = (
    [ 'another authority', 8478, 'ssl_trusted_certificate other.crt' ],
    [ 'another name', 8478, 'ssl_trusted_certificate ca.crt',
        'ssl_name other.example' ],
    [ 'no certificate of the client', 8479,
        'ssl_trusted_certificate ca.crt' ],
    [ 'revoked', 8478, 'ssl_trusted_certificate ca.crt', 'ssl_crl ca.crl' ],
    [ 'other protocol', 8478, 'ssl_trusted_certificate ca.crt',
        'ssl_protocols TLSv1.2' ],
    [ 'no TLS', 8477, 'ssl_trusted_certificate ca.crt' ],
);

my @lines = (
    qr/certificate verify error: .*unable to .*"127\.0\.0\.1"/,
    qr/certificate verify error: .*hostname mismatch.*"other\.example"/,
    qr/TURN server closed connection/,
    qr/certificate verify error: .*certificate revoked/,
    qr/SSL_do_handshake\(\) failed .*protocol version/,
    qr/closed connection in SSL handshake.*:${\port(8477)}/,
);

my @all = (@cases, @wrong);

$turn->write_file('nginx.conf', $turn->read_file('nginx.conf')
    =~ s/127.0.0.1:\d+ ssl;/127.0.0.1:${\port(8478)} ssl;/r
    =~ s/listen 127.0.0.1:\d+;/listen 127.0.0.1:${\port(8477)};/r
    =~ s/(\n    server \{.*?\n    \})/$1 . mutual($1)/ser
    =~ s/localhost\./server./gr);

my $upstreams = join '', map { upstream($_) } 0 .. $#all;
$entry->write_file('nginx.conf', $entry->read_file('nginx.conf')
    =~ s/UPSTREAMS/$upstreams/r);

trp_ca($turn, 'ca');
trp_ca($turn, 'other');
trp_issue($turn, 'ca', 'server', names => 'DNS:localhost,IP:127.0.0.1');
trp_issue($turn, 'ca', 'client');
trp_crl($turn, 'ca');
$turn->write_file('clean.crl', $turn->read_file('ca.crl'));
trp_crl($turn, 'ca', 'server');

$entry->write_file($_, $turn->read_file($_))
    for qw/ ca.crt other.crt client.crt client.key ca.crl clean.crl /;

serve($entry, port(8090), 'echo');

# what is seen between entry and server

$turn->run_daemon(\&watch, listener(port(8476)), port(8478),
    $turn->testdir());

$turn->run();
$entry->run()->plan(@cases * 3 + @wrong * 4 + 10 + 2);

my $to = '127.0.0.1:' . port(8090);
my $secret = 'THIS-MUST-NOT-BE-SEEN';

for my $i (0 .. $#cases) {
    my $name = $cases[$i]->[0];
    my $c = socks(port(8100 + $i), $to);

    is($c->rep(), 0, $name);
    is($c->echo($secret), $secret, "$name: echo");
    $c->close();

    $c = socks(port(8100 + $i), $to);
    is(transfer($c->socket(), 300_000)->{end}, 'eof', "$name: transfer");
}

for my $i (@cases .. $#all) {
    my $name = $all[$i]->[0];
    my $c = socks(port(8100 + $i), $to, once => 1, data => $secret);

    is($c->rep() . " $c->{end}", '1 eof', $name);
    ok(wait_log($entry, qr/^${\port(8100 + $i)} \S.* 50\d$/,
        file => 'access.log'), "$name: access log");
    ok(wait_log($entry, $lines[$i - @cases]), "$name: a line");
    is(count_log($turn, qr/$secret/), 0, "$name: nothing is told");
}

# between them there is nothing but TLS, in each connection

my $watched = $#all + 1;
my $c = socks(port(8100 + $watched), $to);
is($c->echo($secret x 100), $secret x 100, 'watched');

my $other = socks(port(8100 + $watched), '127.0.0.1:' . port(8090));
is($other->echo($secret), $secret, 'a second one');
is(transfer($_->socket(), 100_000)->{end}, 'eof', 'and more')
    for $c, $other;

my @files = glob $turn->testdir() . '/seen.*';
cmp_ok(@files, '>=', 3, 'control and data connections');

my (@other, $seen);

for my $file (@files) {
    my $text = $turn->read_file($file =~ s!.*/!!r);

    push @other, $file if records($text);
    $seen++ if $text =~ /THIS-MUST|alice|example|\x21\x12\xa4\x42/;
}

is("@other", '', 'all of them are TLS from the first byte to the last');
ok(!$seen, 'nothing is readable');

# what is in the middle cannot make itself a server

is(count_log($entry, qr/\[alert\]/), 0, 'no alerts');
is(socks(port(8100), $to)->rep(), 0, 'still verified');
is(socks(port(8100 + @cases), $to)->rep(), 1, 'still not verified');


sub upstream {
    my ($i) = @_;
    my ($name, $port, @options) = @{$all[$i]};

    return conf($i, port($port), @options)
        . ($i == $#all ? conf($i + 1, port(8476),
            'ssl_trusted_certificate ca.crt') : '');
}


sub conf {
    my ($i, $port, @options) = @_;
    my $lines = join '', map { "        trp_turn_client_$_;\n" } @options;

    return <<"EOC";
    upstream turn$i {
        server 127.0.0.1:$port;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
$lines    }

    server {
        listen 127.0.0.1:${\port(8100 + $i)};
        trp_socks5;
        proxy_half_close on;
        proxy_pass turn$i;
    }

EOC
}


# a server that wants a certificate of its client

sub mutual {
    my ($server) = @_;
    my $port = port(8479);

    return $server =~ s/listen .*?;\n\s+listen .*? ssl;/listen 127.0.0.1:$port ssl;
        ssl_verify_client on;
        ssl_client_certificate ca.crt;/sr;
}


# 1 if there is something that is no record of TLS

sub records {
    my ($text) = @_;

    while (length $text >= 5) {
        my ($type, $version, $length) = unpack 'C n n', $text;

        return 1 if $type < 20 || $type > 23 || $version >> 8 != 3
            || $length > 16384 + 256;
        substr $text, 0, 5 + $length, '';
    }

    return 0;
}


# writes down all that goes to the server, and comes from it

sub watch {
    my ($listener, $port, $dir) = @_;
    my $n = 0;

    $SIG{CHLD} = 'IGNORE';

    while (my $s = $listener->accept()) {
        $n++;
        next if fork();

        my $to = connect_to($port);
        my $select = IO::Select->new($s, $to);

        while ($select->count()) {
            for my $from ($select->can_read()) {
                my $data;
                my ($other, $way) = $from == $s ? ($to, 'to') : ($s, 'from');

                if (!sysread $from, $data, 65536) {
                    $select->remove($from);
                    shutdown $other, 1;
                    next;
                }

                open my $fh, '>>', "$dir/seen.$n.$way"
                    or die "can't write: $!\n";
                syswrite $fh, $data;
                print $other $data;
            }
        }

        POSIX::_exit(0);
    }
}
