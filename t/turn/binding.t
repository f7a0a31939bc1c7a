#!/usr/bin/perl

# Tests for STUN binding over UDP, TCP and TLS, IPv4 and IPv6.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

# ::1 is not everywhere

my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 1 : 0;

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        #listen [::1]:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        #listen [::1]:%%PORT_8479%%;
        listen 127.0.0.1:%%PORT_8480%% ssl;
        #listen [::1]:%%PORT_8480%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp;
        trp_turn;
        trp_turn_software some/1.0;
    }
}

EOC

$t->write_file_expand('nginx.conf', $ipv6 ? $conf =~ s/#//gr : $conf);

trp_cert($t);
$t->run()->plan(6 * 9 + 25);

my %ports = (udp => port(8478), tcp => port(8479), tls => port(8480));

for my $host ('127.0.0.1', '::1') {
    for my $transport (qw/ udp tcp tls /) {

        SKIP: {
            skip 'no IPv6', 9 if $host eq '::1' && !$ipv6;
            all_of($host, $transport);
        }
    }
}

# unknown attributes: those that must be understood, and those that need not

my $c = client();
my $r = $c->call('binding', [ '0x7ffe' => 'abc', '0xc001' => 'abc',
    '0x0003' => 'abcd' ]);

is($r->{code}, 420, 'unknown attributes');
is_deeply($r->{attr}->{'unknown-attributes'}, [ 0x7ffe, 3 ], 'their list');
is($c->call('binding', [ '0xc001' => 'a' x 100, 'software' => 'b' ])->{code},
    0, 'unknown optional attribute');
is($c->call('binding', [ username => 'any', 'message-integrity' => 'any' ])
    ->{code}, 0, 'credentials of somebody else');

# what is not answered; a Binding request behind it tells that it was read

my $id = 'abcdefghijkl';

my @silent = (
    [ 'indication', stun_message('binding', [], class => 'indication') ],
    [ 'success response', stun_message('binding', [], class => 'success') ],
    [ 'error response', stun_message('binding', [], class => 'error') ],
    [ 'unknown method', stun_message(0x0f1, []) ],
    [ 'no cookie', stun_message('binding', [], cookie => 0x2112a443) ],
    [ 'wrong fingerprint',
        stun_message('binding', [ fingerprint => \'abcd' ]) ],
    [ 'fingerprint too early', stun_message('binding',
        [ fingerprint => '', software => 'a' ]) ],
    [ 'empty datagram', '' ],
    [ 'one byte', "\0" ],
    [ 'half a header', substr stun_message('binding', []), 0, 19 ],
    [ 'message too short', stun_message('binding', [ software => 'abcd' ],
        length => 12) ],
    [ 'message too long', stun_message('binding', [ software => 'abcd' ],
        length => 4) ],
    [ 'odd length', stun_message('binding', [], length => 2) . 'ab' ],
    [ 'attribute too long', stun_message('binding', [], length => 4)
        . pack 'n n', 0x8022, 4 ],
    [ 'attribute of 65535 bytes', stun_message('binding', [], length => 8)
        . pack 'n n a4', 0x8022, 0xffff, 'abcd' ],
    [ 'half an attribute', stun_message('binding', [], length => 2) . 'ab' ],
    [ 'upper bits', "\x80" . substr stun_message('binding', []), 1 ],
    [ 'no message', 'GET / HTTP/1.0' . "\r\n" x 2 ],
);

for my $case (@silent) {
    my ($name, $bytes) = @$case;
    $c = client();
    $c->write($bytes);
    ok($c->quiet(), $name);
}

# software

$c = turn(port => port(8481));
$r = $c->binding();
is($r->{attr}->{software}, 'some/1.0', 'software');
is($r->{size}, 32 + 12, 'size with software');

# a server without users, secrets or portal is no TURN server

$c = client();
isnt($c->allocate([], timeout => 1)->{class}, 'success', 'no allocation');


sub all_of {
    my ($host, $transport) = @_;
    my $name = "$transport $host";
    my $c = client($host, $transport);

    my $r = $c->binding(id => 'abcdefghijkl');

    is($r->{code}, 0, "$name: answer");
    is($r->{attr}->{'xor-mapped-address'}, $c->addr(), "$name: address");
    is("@{$r->{order}}", 'xor-mapped-address', "$name: nothing else");
    is($r->{id}, 'abcdefghijkl', "$name: transaction");
    is($r->{size}, $host eq '::1' ? 44 : 32, "$name: size");

    $r = $c->binding(fingerprint => 1);

    is($r->{fingerprint}, 1, "$name: fingerprint");
    is("@{$r->{order}}", 'xor-mapped-address fingerprint', "$name: order");
    is($r->{size}, $host eq '::1' ? 52 : 40, "$name: size of that");

    is($c->binding(attrs => [ '0x7fff' => '' ], fingerprint => 1)
        ->{fingerprint}, 1, "$name: fingerprint of an error");
}


sub client {
    my ($host, $transport) = @_;

    $transport ||= 'udp';

    return turn(transport => $transport, host => $host || '127.0.0.1',
        port => $ports{$transport});
}
