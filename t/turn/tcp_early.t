#!/usr/bin/perl

# Tests for what a client sends right behind ConnectionBind (RFC 6062), more
# than a buffer full, while another worker is asked: the peer gets all of it.
# And for ends that are none: a reset of one side is a reset of the other, with
# TLS, too.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ sha256_hex /;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478%% reuseport;
        listen 127.0.0.1:%%PORT_8479%% ssl reuseport;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }
}

EOC

trp_cert($t);

$t->run()->plan(2 * 3);

my $bytes = noise(40_000);

for my $transport (qw/ tcp tls /) {
    my $control = client($transport);
    $control->allocate([], protocol => 'tcp');

    # some of the data connections come to another worker

    my $n = 12;
    my @got = map { early($control, $transport) } 1 .. $n;

    is(grep({ $_ eq "eof " . sha256_hex($bytes) } @got), $n,
        "$transport: all bytes, and the end");

    my ($data, $peer) = joined($control);
    $data->abort();
    is(end_of($peer), 'reset', "$transport: a reset of the client");

    ($data, $peer) = joined($control);
    abort($peer);
    is($data->end_of(), 'reset', "$transport: a reset of the peer");
}


# everything in one piece: the request, data, and the end

sub early {
    my ($control, $transport) = @_;
    my ($id, $listener) = connection($control);
    my $peer = $listener->accept();

    my $data = client($transport);
    return 'no nonce' if $data->call('refresh')->{code} != 437;

    my $request = $data->request('connectionbind', [ 'connection-id' => $id ]);

    $data->write($request . $bytes);
    return 'not bound' if $data->read(30)->{class} ne 'success';

    $data->close();

    my (undef, $sha, $end) = drain($peer);
    return "$end $sha";
}


sub joined {
    my ($control) = @_;
    my ($id, $listener) = connection($control);
    my ($data) = $control->bind_connection($id);

    return ($data, scalar $listener->accept());
}


sub connection {
    my ($control) = @_;
    my $listener = listener(0);
    my $r = $control->call('connect',
        [ 'xor-peer-address' => peer_addr($listener) ]);

    return ($r->{attr}->{'connection-id'}, $listener);
}


sub client {
    my ($transport) = @_;

    return turn(port => port($transport eq 'tls' ? 8479 : 8478),
        transport => $transport, user => 'alice', password => 'secret');
}
