#!/usr/bin/perl

# Tests for TCP connections that peers make to a relayed address (RFC 6062),
# with one worker and with four.

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

$t->write_file_expand('nginx.conf',
    $conf =~ s/WORKERS/1/r =~ s/REUSEPORT//gr);
$t->run()->plan(4 * 9);

passive('tcp, 1', 'tcp');
passive('tls, 1', 'tls');

$t->write_file_expand('nginx.conf',
    $conf =~ s/WORKERS/4/r =~ s/REUSEPORT/ reuseport/gr);
$t->stop();
$t->run();

passive('tcp, 4', 'tcp');
passive('tls, 4', 'tls');


# peers connect

sub passive {
    my ($name, $transport) = @_;
    my $c = client($transport);

    $c->allocate([], protocol => 'tcp');
    my $relayed = $c->relayed();

    # without a permission: closed, and the client hears nothing of it

    like(end_of(dial($relayed, '127.0.0.2')), qr/^(?:eof|reset)$/,
        "$name: no permission");
    ok($c->quiet(), "$name: nobody is told");

    is($c->permit('127.0.0.2')->{code}, 0, "$name: permission");

    my $right = 0;

    for my $i (1 .. 8) {
        my $peer = dial($relayed, '127.0.0.2');
        syswrite $peer, "early $i";

        my $m = $c->expect('connectionattempt') or next;
        next if $m->{class} ne 'indication'
            || $m->{attr}->{'xor-peer-address'} ne peer_addr($peer);

        my ($data, $r)
            = $c->bind_connection($m->{attr}->{'connection-id'});
        next if $r->{code} ne '0' || $data->read_bytes(7) ne "early $i";

        $data->write("hello $i");
        $data->close();
        $right++ if receive($peer) eq "hello $i";
    }

    is($right, 8, "$name: peers that connect");

    my $peer = dial($relayed, '127.0.0.2');
    my $m = $c->expect('connectionattempt');
    my ($data, $r) = $c->bind_connection($m->{attr}->{'connection-id'});
    is($r->{signed}, 'sha1', "$name: signed");
    close $peer;
    is($data->end_of(), 'eof', "$name: the end of the peer");

    # nobody takes it, the allocation ends

    $peer = dial($relayed, '127.0.0.2');
    $m = $c->expect('connectionattempt');
    is($c->refresh(0)->{code}, 0, "$name: deleted");
    like(end_of($peer), qr/^(?:eof|reset)$/, "$name: with its connections");
    is(($c->bind_connection($m->{attr}->{'connection-id'}))[1]->{code}, 400,
        "$name: which are no more");
}


sub dial {
    my ($to, $from) = @_;

    return IO::Socket::INET->new(PeerAddr => $to, LocalAddr => $from)
        || die "can't connect to $to: $!\n";
}


sub client {
    my ($transport) = @_;
    my %ports = (tcp => 8478, tls => 8479);

    return turn(port => port($ports{$transport}), transport => $transport,
        user => 'alice', password => 'secret');
}
