#!/usr/bin/perl

# Clients of a relay's port that do not speak TLS: one line says what it is
# that they speak, and it is the only one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

relay_conf($t, 8443);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run();

my @cases = (
    [ "GET / HTTP/1.1\r\n\r\n", ', this looks like HTTP' ],
    [ "POST /x", ', this looks like HTTP' ],
    [ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ', this looks like HTTP' ],
    [ "SSH-2.0-OpenSSH_9.2p1\r\n", ', this looks like SSH' ],
    [ pack("C C n C4 x", 4, 1, 80, 127, 0, 0, 1),
        ', this looks like SOCKS4' ],
    [ "\5\1\0", ', this looks like SOCKS5' ],
    [ "PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n",
        ', this looks like the PROXY protocol' ],
    [ "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        ', this looks like the PROXY protocol' ],
    [ "hello\n\"world\"", ', it begins with "hello\\\\x0A\\\\x22w"' ],
    [ "\0" x 1000, ', it begins with "(?:\\\\x00){8}"' ],
);

$t->plan(2 * @cases + 8);

for my $case (@cases) {
    my ($bytes, $text) = @$case;
    my $before = lines();

    my $s = IO::Socket::INET->new('127.0.0.1:' . port(8443));
    syswrite $s, $bytes;
    end_of($s);

    ok(wait_log($t, qr/\[info\].* client does not speak TLS$text while /),
        $text);
    is(lines() - $before, 1, 'one line');
}

# real ones

my $before = lines();

output('curl', '-s', 'http://127.0.0.1:' . port(8443) . '/');
ok(wait_for(sub { lines() > $before }), 'curl');

SKIP: {
    skip 'no ssh', 1 if !executable('ssh');

    output({ err => 1 }, 'ssh', '-F', 'none', '-p', port(8443), 'a@127.0.0.1',
        'true');
    ok(wait_log($t, qr/looks like SSH while /, count => 2), 'ssh');
}

ok(wait_log($t, qr/looks like HTTP while /, count => 4), 'HTTP');

# other protocols in TLS

my $not = 'client does not speak trp/2, it offers';

output(qw/ curl -sk --no-alpn /, 'https://127.0.0.1:' . port(8443) . '/');
ok(wait_log($t, qr/$not no protocol while /), 'TLS without ALPN');

output(qw/ curl -sk /, 'https://127.0.0.1:' . port(8443) . '/');
ok(wait_log($t, qr/$not (?:"h2", )?"http\/1\.1" while /), 'HTTPS');

output({ err => 1 }, qw/ openssl s_client -alpn /, 'trp/1,a"b',
    '-connect', '127.0.0.1:' . port(8443));
ok(wait_log($t, qr/$not "trp\/1", "a\\x22b" while /), 'of another version');
is(count_log($t, qr/SSL_do_handshake/), 0, 'and nothing is said twice');
is(count_log($t, qr/\[(?:warn|error|crit)\]/), 0, 'nothing but info');


sub lines { count_log($t, qr/\[info\].* client: 127\.0\.0\.1/) }
