#!/usr/bin/perl

# Tests for TCP connections to peers that the client asks for (RFC 6062), with
# one worker and with four.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;
worker_processes WORKERS;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_user bob:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_deny 127.0.0.66;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478%%REUSEPORT;
        listen 127.0.0.1:%%PORT_8479%% sslREUSEPORT;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }
}

EOC

trp_cert($t);

# any address of 127.0.0.0/8 is a peer

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalPort => port(8481),
    LocalAddr => '0.0.0.0', ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

my $peers = 0;

$t->write_file_expand('nginx.conf',
    $conf =~ s/WORKERS/1/r =~ s/REUSEPORT//gr);
$t->run()->plan(4 * 10);

active('tcp, 1', 'tcp');
active('tls, 1', 'tls');

$t->write_file_expand('nginx.conf',
    $conf =~ s/WORKERS/4/r =~ s/REUSEPORT/ reuseport/gr);
$t->stop();
$t->run();

active('tcp, 4', 'tcp');
active('tls, 4', 'tls');


# the client asks for a connection

sub active {
    my ($name, $transport) = @_;
    my $c = client($transport);

    is($c->allocate([], protocol => 'tcp')->{code}, 0, "$name: allocated");

    # each of several, so that other workers have some of them

    my $right = 0;

    for my $i (1 .. 8) {
        my $id = connection($c, peer()) or next;
        my ($data, $r) = $c->bind_connection($id);

        next if $r->{code} ne '0' || $r->{signed} ne 'sha1'
            || $r->{attr}->{'connection-id'} && $r->{attr}->{'connection-id'}
            != $id;

        $data->write("hello $i");
        $right++ if $data->read_bytes(7) eq "hello $i";
    }

    is($right, 8, "$name: there and back");

    # all of a large transfer, and its end

    my $id = connection($c, peer());
    my ($data, $r) = $c->bind_connection($id);
    my $noise = noise(1_000_000);

    ok(both_ways($data, $noise) eq $noise, "$name: a megabyte");

    # what the peer sends at once is not lost; its end is passed on

    ($id, my $peer) = pair($c);
    is(peer_addr(getpeername $peer), $c->relayed(),
        "$name: from the relayed address");
    syswrite $peer, 'hello first';
    ($data, $r) = $c->bind_connection($id);
    is($data->read_bytes(11), 'hello first', "$name: a peer that speaks first");

    close $peer;
    is($data->end_of(), 'eof', "$name: its end");

    # and so is the client's

    ($id, $peer) = pair($c);
    ($data, $r) = $c->bind_connection($id);
    $data->write('bye');
    $data->close();
    is(receive($peer), 'bye', "$name: the end of the client");

    # a reset is no end

    ($id, $peer) = pair($c);
    ($data, $r) = $c->bind_connection($id);
    abort($peer);
    like($data->end_of(), qr/^(?:eof|reset|error)$/, "$name: a reset");

    # when the control connection ends, so does everything

    ($id, $peer) = pair($c);
    ($data, $r) = $c->bind_connection($id);
    $c->close();
    like($data->end_of(), qr/^(?:eof|reset|error)$/,
        "$name: the end of the control connection");
    like(end_of($peer), qr/^(?:eof|reset)$/, "$name: the peer sees it");
}


# a peer that was not used before

sub peer {
    return '127.0.1.' . ++$peers . ':' . port(8481);
}


# the id of a new connection

sub connection {
    my ($c, $peer) = @_;
    my $r = $c->call('connect', [ 'xor-peer-address' => $peer ]);

    return $r->{attr}->{'connection-id'};
}


# the same, and the peer's end of it

sub pair {
    my ($c) = @_;
    my $listener = listener(0);
    my $id = connection($c, peer_addr($listener));

    return ($id, $id ? $listener->accept() : undef);
}


# writes while it reads

sub both_ways {
    my ($c, $data) = @_;
    my $back = '';

    while (length $data) {
        my $n = length $data > 10_000 ? 10_000 : length $data;
        $c->write(substr $data, 0, $n, '');
        $back .= $c->read_bytes($n);
    }

    return $back;
}


sub client {
    my ($transport) = @_;
    my %ports = (tcp => 8478, tls => 8479);

    return turn(port => port($ports{$transport}), transport => $transport,
        user => 'alice', password => 'secret');
}
