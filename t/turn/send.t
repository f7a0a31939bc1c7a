#!/usr/bin/perl

# Tests for Send and Data indications.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

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
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(25 + 2 * 10);

my $peer = turn_peer();
my $addr = peer_addr($peer);

my $c = client();
$c->allocate();
$c->permit($addr);

# there and back

$c->send_to($addr, 'hello');
my ($data, $from) = peer_read($peer);
is($data, 'hello', 'to the peer');
is($from, $c->relayed(), 'from the relayed address');

peer_send($peer, $from, 'and back');
my $m = $c->read();
is("$m->{method} $m->{class}", 'data indication', 'back');
is("@{[ sort @{$m->{order}} ]}", 'data xor-peer-address', 'its attributes');
is($m->{attr}->{'xor-peer-address'}, $addr, 'the peer');
is($m->{attr}->{data}, 'and back', 'the data');

# padded with zeros

peer_send($peer, $from, 'a');
$m = $c->read();
my $at = $m->{at}->{data};
is(substr($m->{raw}, $at + 5, 3), "\0\0\0", 'padding');

# attributes in any order, and others

$c->indicate('send', [ data => 'any order', 'xor-peer-address' => $addr ]);
is(scalar peer_read($peer), 'any order', 'order');

$c->send_to($addr, 'optional', '0xc123' => 'abc');
is(scalar peer_read($peer), 'optional', 'unknown optional attribute');

$c->indicate('send', [ 'xor-peer-address' => $addr, data => 'fingerprint',
    fingerprint => '' ]);
is(scalar peer_read($peer), 'fingerprint', 'fingerprint');

$c->indicate('send', [ 'xor-peer-address' => $addr, data => 'first',
    data => 'second' ]);
is(scalar peer_read($peer), 'first', 'twice: the first one counts');

# what is dropped, without an answer

my @dropped = (
    [ 'no data', [ 'xor-peer-address' => $addr ] ],
    [ 'no peer', [ data => 'x' ] ],
    [ 'nothing', [] ],
    [ 'short address', [ 'xor-peer-address' => \'abcd', data => 'x' ] ],
    [ 'the other family', [ 'xor-peer-address' => '[::1]:1', data => 'x' ] ],
    [ 'no permission', [ 'xor-peer-address' => '127.0.0.2:9', data => 'x' ] ],
    [ 'port 0', [ 'xor-peer-address' => '127.0.0.1:0', data => 'x' ] ],
    [ 'unknown attribute', [ '0x7fff' => '', 'xor-peer-address' => $addr,
        data => 'x' ] ],
    [ 'wrong fingerprint', [ 'xor-peer-address' => $addr, data => 'x',
        fingerprint => \'abcd' ] ],
);

for my $case (@dropped) {
    my ($name, $attrs) = @$case;
    $c->indicate('send', $attrs);
    ok($c->quiet(), $name);
}

$c->write(stun_message('send', [ 'xor-peer-address' => $addr,
    data => 'a request' ]));
$c->indicate('data', [ 'xor-peer-address' => $addr, data => 'Data' ]);

my $stranger = client();
$stranger->send_to($addr, 'no allocation');
ok($stranger->quiet(), 'no allocation');

$c->send_to($addr, 'last');
is(scalar peer_read($peer), 'last', 'none of them has arrived');

# sizes

for my $c (client(), client(transport => 'tcp', port => port(8479))) {
    $c->allocate();
    $c->permit($addr);

    for my $size (0 .. 4, 100, 1200, 1472, 9000, 60000) {
        my $sent = 'x' x $size;

        $c->send_to($addr, $sent);
        my $got = peer_read($peer);
        peer_send($peer, $c->relayed(), $sent);
        my $m = $c->read();

        is(join(' ', length $got, length $m->{attr}->{data}), "$size $size",
            "$c->{transport}: $size bytes");
    }
}

# two clients of one server

my @pair = map { client() } 1 .. 2;
$_->allocate() for @pair;
$_->permit('127.0.0.1') for @pair;

$pair[0]->send_to($pair[1]->relayed(), 'ping');
$m = $pair[1]->read();
is($m->{attr}->{data}, 'ping', 'from client to client');
is($m->{attr}->{'xor-peer-address'}, $pair[0]->relayed(), 'both relayed');
ok($pair[0]->quiet(), 'not to itself');


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret',
        @_);
}
