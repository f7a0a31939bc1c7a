#!/usr/bin/perl

# Tests for clients over TCP and TLS that do not read: the relay keeps a
# bounded amount for them, drops the rest of datagrams, stops reading streams.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ sha256_hex /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

use constant { COUNT => 20_000, SIZE => 1200 };

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return
    socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        listen 127.0.0.1:%%PORT_8479%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        return "$trp_turn_packets $trp_turn_dropped";
    }
}

EOC

trp_cert($t);
$t->run()->plan(20);

my $worker = wait_for(sub { (worker_pids($t))[0] });

for my $transport (qw/ tcp tls /) {
    datagrams($transport);
    stream($transport, 'to the client');
    stream($transport, 'to the peer');
}


# datagrams for a client that does not read

sub datagrams {
    my ($transport) = @_;
    my $c = client($transport);
    my $peer = turn_peer();

    $c->allocate();
    $c->bind_channel(0x4000, peer_addr($peer));

    my $other = client($transport);
    $other->binding();

    my $memory = private_memory($worker);

    for my $i (1 .. COUNT) {
        peer_send($peer, $c->relayed(), pack 'N a*', $i, 'x' x (SIZE - 4));

        # the worker goes on with others, and keeps up
        $other->binding() if $i % 50 == 0;
    }

    SKIP: {
        skip 'memory is another under a sanitizer', 1 if $ENV{ASAN_OPTIONS};
        cmp_ok(private_memory($worker) - $memory, '<', 4096,
            "$transport: memory");
    }

    ok(wait_for(sub { (counters())[1] > 0 }), "$transport: some are dropped");

    # what has arrived is whole and in order

    $c->write(stun_message('binding', [], id => 'abcdefghijkl'));

    my ($n, $wrong, $last) = (0, 0, 0);

    while (my $m = $c->read()) {
        last if ($m->{id} || '') eq 'abcdefghijkl';

        my ($i) = unpack 'N', $m->{data};
        $wrong++ if length $m->{data} != SIZE || $i <= $last;
        $last = $i;
        $n++;
    }

    ok(!$c->end(), "$transport: the stream goes on");
    ok($n > 0 && $n < COUNT, "$transport: part of the data")
        or diag("$n of @{[ COUNT ]}");
    is($wrong, 0, "$transport: nothing broken");
    is($c->refresh(0)->{code}, 0, "$transport: requests are answered");
}


# TCP to a peer, one of the two does not read: nothing is lost

sub stream {
    my ($transport, $way) = @_;
    my $c = client($transport);
    my $listener = listener(0);

    $c->allocate([], protocol => 'tcp');

    my $r = $c->call('connect', [ 'xor-peer-address' => peer_addr($listener) ]);
    my $peer = $listener->accept();
    my ($data) = $c->bind_connection($r->{attr}->{'connection-id'});
    my $memory = private_memory($worker);

    my $to_client = $way eq 'to the client';
    my $sent = fill($to_client ? $peer : $data->socket(), 64_000_000);

    SKIP: {
        skip 'memory is another under a sanitizer', 1 if $ENV{ASAN_OPTIONS};
        cmp_ok(private_memory($worker) - $memory, '<', 2048,
            "$transport, $way: memory");
    }

    my ($got, $sha);

    if ($to_client) {
        close $peer;
        my $all = $data->read_bytes();
        ($got, $sha) = (length $all, sha256_hex($all));

    } else {
        $data->close();
        ($got, $sha) = drain($peer);
    }

    is("$got $sha", "$sent " . sha256_hex(noise($sent)),
        "$transport, $way: all of it");
}


sub counters {
    return split ' ', turn(transport => 'tcp', port => port(8480))
        ->read_bytes();
}


sub client {
    my ($transport) = @_;

    return turn(port => port($transport eq 'tls' ? 8479 : 8478),
        transport => $transport, user => 'alice', password => 'secret');
}
