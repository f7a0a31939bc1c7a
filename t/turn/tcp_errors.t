#!/usr/bin/perl

# Tests for errors of Connect and ConnectionBind (RFC 6062): each step asks who
# it is, and whether the peer is allowed.

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

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        trp_turn;
        trp_turn_unauthenticated_rate 10000r/s;
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
$t->run()->plan(2 * 23 + 4);

errors('1 workers');

$t->write_file_expand('nginx.conf',
    $conf =~ s/WORKERS/4/r =~ s/REUSEPORT/ reuseport/gr);
$t->stop();
$t->run();

errors('4 workers');

# over UDP, and where it is off

is(client('udp')->allocate([], protocol => 'tcp')->{code}, 400,
    'not for clients over UDP');
is(client('udp')->allocate()->{code}, 0, 'which have UDP');

$t->write_file('nginx.conf', $t->read_file('nginx.conf')
    =~ s/tcp_allocations on/tcp_allocations off/r);
reload_and_wait($t);

my $off = client('tcp');
is($off->allocate([], protocol => 'tcp')->{code}, 442, 'off');
is($off->call('connect', [ 'xor-peer-address' => '127.0.0.1:80' ])->{class},
    'error', 'no Connect');


# each step is checked

sub errors {
    my ($name) = @_;
    my $c = client('tcp');
    my $peer = peer();
    my @to = ('xor-peer-address' => $peer);

    is($c->call('connect', [ @to ])->{code}, 437, "$name: no allocation");

    for my $attr ([ 'dont-fragment' => '' ], [ 'even-port' => 0 ],
        [ 'reservation-token' => 'abcdefgh' ])
    {
        is($c->allocate($attr, protocol => 'tcp')->{code}, 400,
            "$name: $attr->[0]");
    }

    $c->allocate([], protocol => 'tcp');

    # who is not, or is somebody else

    is($c->call('connect', [ @to ], anonymous => 1)->{code}, 401,
        "$name: Connect without credentials");
    is($c->call('connect', [ @to ], password => 'x')->{code}, 401,
        "$name: Connect with a wrong password");
    is($c->call('connect', [ @to ], user => 'bob')->{code}, 441,
        "$name: Connect of another user");

    my $id = connection($c, $peer);

    is(($c->bind_connection($id, user => undef))[1]->{code}, 401,
        "$name: ConnectionBind without credentials");
    is(($c->bind_connection($id, password => 'x'))[1]->{code}, 401,
        "$name: ConnectionBind with a wrong password");
    like(($c->bind_connection($id, user => 'bob'))[1]->{code}, qr/^4(?:00|41)$/,
        "$name: ConnectionBind of another user");
    is(($c->bind_connection($id ^ 1))[1]->{code}, 400,
        "$name: ConnectionBind of another connection");
    is(($c->bind_connection(0))[1]->{code}, 400, "$name: of none");

    my $e = client('tcp');
    is($e->call('connectionbind', [])->{code}, 400, "$name: no id");
    is($c->call('connectionbind', [ 'connection-id' => $id ])->{class},
        'error', "$name: on the control connection");

    my ($data, $r) = $c->bind_connection($id);
    is($r->{code}, 0, "$name: after all that");
    is(($c->bind_connection($id))[1]->{code}, 400, "$name: only once");
    $data->write('still');
    is($data->read_bytes(5), 'still', "$name: and it goes on");

    # peers

    is($c->call('connect', [])->{code}, 400, "$name: no peer");
    is($c->call('connect', [ 'xor-peer-address' => '127.0.0.66:80' ])->{code},
        403, "$name: a denied peer");
    is($c->call('connect', [ 'xor-peer-address' => '[::1]:80' ])->{code},
        443, "$name: of the other family");

    # RFC 6062, section 5.2: one connection to a peer at a time

    is($c->call('connect', [ @to ])->{code}, 446, "$name: the same again");
    is($c->call('connect', [ 'xor-peer-address' => peer_addr(
        IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp')) ])
        ->{code}, 447, "$name: refused");

    # a TCP allocation is not for datagrams

    $c->send_to($peer, 'no');
    isnt($c->bind_channel(0x4000, $peer)->{code}, 0, "$name: no channels");
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


sub client {
    my ($transport) = @_;
    my %ports = (tcp => 8478, tls => 8479, udp => 8480);

    return turn(port => port($ports{$transport}), transport => $transport,
        user => 'alice', password => 'secret');
}
