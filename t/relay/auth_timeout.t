#!/usr/bin/perl

# Tests for the deadline of a peer that does not authenticate, wherever it
# has stopped.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $one = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $many = Test::Nginx->new();

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes WORKERS;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_handshake_timeout 10m;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_auth_timeout 1s;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$one->write_file_expand('nginx.conf', $conf =~ s/WORKERS/1/r);
$many->write_file_expand('nginx.conf',
    $conf =~ s/WORKERS/4/r =~ s/8443/8444/r);

for my $t ($one, $many) {
    trp_cert($t);
    $t->write_file('authorized_keys', trp_keys($t, 'entry'));
    $t->run();
}

$one->plan(20 + 2);

check($one, 8443, 'one worker');
check($many, 8444, 'four workers');


sub check {
    my ($t, $port, $name) = @_;
    my %clients;

    # what an agent without a hint gets first may be MOVED

    my $good = Test::Nginx::TRP::Client->new(port => port($port),
        alpn => [ 'trp/2', sprintf 'trp-slot/%02d', slot_of('0') ]);
    my $ready = $good->login(key => $t->testdir() . '/entry');
    is($ready && $ready->{type}, 'READY', "$name: an agent");

    $clients{silent} = tcp($port);
    $clients{'half a ClientHello'} = tcp($port, hello(100));
    $clients{'a header'} = tcp($port, hello(5));
    $clients{'without AUTH'} =
        Test::Nginx::TRP::Client->new(port => port($port));

    my $slow = Test::Nginx::TRP::Client->new(port => port($port));
    my $hello = $slow->expect('HELLO');
    $slow->write(substr $slow->auth($hello, key => $t->testdir() . '/entry'),
        0, 50);
    $clients{'half an AUTH'} = $slow;

    for my $what (sort keys %clients) {
        my $s = $clients{$what};
        like(ref $s eq 'IO::Socket::INET' ? end_of($s) : $s->wait_end(),
            qr/eof|reset/, $what);
    }

    ok(wait_log($t, qr/timed out while waiting for authentication/,
        count => 2), 'logged');
    is(count_log($t, qr/timed out while waiting for authentication/), 2,
        'once each');

    ok($good->send('PING'), 'no deadline for the agent');
    ok($good->expect('PONG'), 'that is authenticated');
}


# a handshake that ends before it has begun

sub hello {
    my ($size) = @_;
    my $body = pack 'n a32 x n n C C x220', 0x303, 'r' x 32, 2, 0x1301, 1, 0;

    $body = pack 'C x n a*', 1, length $body, $body;
    return substr pack('C n n/a*', 22, 0x301, $body), 0, $size;
}


sub tcp {
    my ($port, $data) = @_;

    my $s = IO::Socket::INET->new('127.0.0.1:' . port($port))
        or die "can't connect: $!\n";
    syswrite $s, $data if defined $data;
    return $s;
}
