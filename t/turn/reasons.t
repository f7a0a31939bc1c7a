#!/usr/bin/perl

# Tests for the reasons in errors: those who are authenticated are told in
# words, others get as few bytes as before.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

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
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_user bob:secret;
        trp_turn_user carol:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.1;
        trp_turn_tcp_allocations on;
        trp_turn_quota user=1;
    }
}

EOC

$t->run()->plan(22);

my $c = client();
is(error($c->refresh()), '437 Allocation Mismatch', 'no allocation');
is(error($c->call('allocate')), '400 Bad Request', 'no transport');
is(error($c->call('allocate', [ 'requested-transport' => 99 ])),
    '442 Unsupported Transport Protocol', 'transport');
is(error($c->allocate([ 'requested-address-family' => 'ipv6' ])),
    '440 Address Family not Supported', 'family');
is(error($c->allocate([ 'reservation-token' => 'x' x 8 ])),
    '508 Insufficient Capacity', 'reservation');
is(error($c->allocate([ 0x7fff => '' ])), '420 Unknown Attribute',
    'attribute');

$c->allocate();

is(error($c->permit('127.0.0.2')), '403 Forbidden', 'peer');
is(error($c->permit('[2606:4700::1]')), '443 Peer Address Family Mismatch',
    'family of a peer');
is(error($c->refresh(600, [], user => 'bob')), '441 Wrong Credentials',
    'another user');
is(error(client()->allocate()), '486 Allocation Quota Reached', 'quota');

# signed with SHA-256 as well

$c = client(user => 'bob', transport => 'tcp', port => port(8479),
    algorithm => 'sha256', integrity => 'sha256');
my $r = $c->refresh();
is(error($r), '437 Allocation Mismatch', 'SHA-256');
is($r->{signed}, 'sha256', 'signed');

# over TCP

my $listener = listener(0);
my $peer = peer_addr($listener);

$c = client(user => 'carol', transport => 'tcp', port => port(8479));
$c->allocate([], protocol => 'tcp');
$c->call('connect', [ 'xor-peer-address' => $peer ]);

is(error($c->call('connect', [ 'xor-peer-address' => $peer ])),
    '446 Connection Already Exists', 'connection');
close $listener;
is(error($c->call('connect', [ 'xor-peer-address' => closed() ])),
    '447 Connection Timeout or Failure', 'nobody there');
is(error(($c->bind_connection(1))[1]), '400 Bad Request', 'no connection');

# strangers

for my $opts ([], [ transport => 'tcp', port => port(8479) ]) {
    $c = client(@$opts);
    is(error($r = $c->call('allocate', [], retry => 0)), '401 ', 'stranger');
    $c->learn($r);
    is(error($c->call('refresh', [], nonce => 'x', retry => 0)), '438 ',
        'stale nonce');
    is(error($c->call('refresh', [], password => 'wrong', retry => 0)),
        '401 ', 'wrong password');
}

is(error(client()->call('binding', [ 0x7fff => '' ], anonymous => 1)), '420 ',
    'binding');


sub error {
    my ($r) = @_;
    my $error = $r->{attr}->{'error-code'};

    return $error ? "@$error" : $r->{code};
}


sub client {
    return turn(port => port(8478, udp => 1), user => 'alice',
        password => 'secret', @_);
}


# an address where nobody listens

sub closed {
    my $listener = listener(0);
    my $addr = peer_addr($listener);

    close $listener;
    return $addr;
}
