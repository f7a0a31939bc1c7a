#!/usr/bin/perl

# Tests for ChannelBind and ChannelData.

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
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_deny 127.0.0.66;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(50);

my ($peer, $other) = (turn_peer(), turn_peer('127.0.0.2'));
my ($addr, $other_addr) = map { peer_addr($_) } $peer, $other;

my $c = client();
is(bind_code(0x4000, $addr), 437, 'no allocation');
$c->allocate();

# errors

is($c->call('channelbind', [ 'channel-number' => 0x4000 ])->{code}, 400,
    'no peer');
is($c->call('channelbind', [ 'xor-peer-address' => $addr ])->{code}, 400,
    'no number');
is(bind_code(\"\x40", $addr), 400, 'short number');
is(bind_code(0x4000, \'abcd'), 400, 'short address');
is(bind_code($_, $addr), 400, sprintf 'number 0x%x', $_)
    for 0, 0x3fff, 0x8000, 0xffff;
is(bind_code(0x4000, '[2001:db8::1]:80'), 443, 'the other family');
is(bind_code(0x4000, '127.0.0.66:80'), 403, 'denied');

# none of them has left anything

$c->send_channel(0x4000, 'no');

# a channel

my $r = $c->bind_channel(0x4000, $addr);
is($r->{code}, 0, 'bound');
is("@{$r->{order}} $r->{signed}", 'message-integrity sha1', 'answer');

$c->send_channel(0x4000, 'hello');
my ($data, $from) = peer_read($peer);
is($data, 'hello', 'to the peer');
is($from, $c->relayed(), 'from the relayed address');

peer_send($peer, $from, 'and back');
my $m = $c->read();
is("$m->{class} $m->{channel} $m->{data}", 'channel 16384 and back', 'back');

# it is a permission, too; a channel is of one port only

my $neighbour = turn_peer();
peer_send($neighbour, $from, 'me too');
$m = $c->read();
is($m->{attr}->{'xor-peer-address'}, peer_addr($neighbour),
    'Data from another port');
is($m->{attr}->{data}, 'me too', 'its data');

# Send is still possible

$c->send_to($addr, 'by Send');
is(scalar peer_read($peer), 'by Send', 'Send beside the channel');

# once more, and other bindings of the same number or peer

is(bind_code(0x4000, $addr), 0, 'the same again');
is(bind_code(0x4000, $other_addr), 400, 'another peer');
is(bind_code(0x4000, peer_addr($neighbour)), 400, 'another port');
is(bind_code(0x4001, $addr), 400, 'another number');
is(bind_code(0x4fff, $other_addr), 0, 'the last number of RFC 8656');
is(bind_code(0x4001, peer_addr($neighbour)), 0, 'another port, own number');

# RFC 5766 had more numbers, and there are clients that use them

is(bind_code(0x7fff, '127.0.0.3:9'), 0, 'the last number of RFC 5766');

$c->send_channel(0x4fff, 'last');
$c->send_channel(0x4001, 'port');
is(scalar peer_read($other), 'last', 'second channel');
is(scalar peer_read($neighbour), 'port', 'third channel');

peer_send($_, $from, 'x') for $other, $neighbour, $peer;
is(join(' ', map { $c->read()->{channel} } 1 .. 3),
    join(' ', 0x4fff, 0x4001, 0x4000), 'back by their numbers');

# a number belongs to a client

my $d = client();
$d->allocate();
is($d->bind_channel(0x4000, $other_addr)->{code}, 0, 'another client');
$d->send_channel(0x4000, 'from d');
is(join(' ', peer_read($other)), 'from d ' . $d->relayed(), 'its peer');

# what is dropped

$c->send_channel(0x4002, 'unbound');
$c->write(channel_data(0x4000, 'abc', length => 4));
$c->write(pack 'n', 0x4000);
$c->write(pack 'n n', 0x4000, 1);
$c->write(channel_data(0x8000, 'reserved'));
$c->write(channel_data(0x3fff, 'no channel'));
client()->send_channel(0x4000, 'no allocation');

# behind the length: padding, or anything else

$c->write(channel_data(0x4000, 'abcdef', length => 3));
is(scalar peer_read($peer), 'abc', 'longer than its length');

# sizes; ChannelData in datagrams needs no padding

for my $size (0 .. 4, 100, 1199, 1200, 1472, 9000, 60000) {
    my $sent = 'x' x $size;

    $c->send_channel(0x4000, $sent);
    my $got = peer_read($peer);
    peer_send($peer, $from, $sent);
    $m = $c->read();

    is(join(' ', length $got, length $m->{data}, $m->{size}),
        "$size $size " . ($size + 4), "$size bytes");
}

ok($c->quiet() && $d->quiet(), 'nothing else');

# with the allocation everything goes

$c->refresh(0);
$c->allocate();
$c->send_channel(0x4000, 'too late');
is(bind_code(0x4001, $addr), 0, 'the number of a former channel');
$c->send_channel(0x4001, 'new');
is(scalar peer_read($peer), 'new', 'a new channel');
is(bind_code(0x4000, $other_addr), 0, 'the peer of a former channel');

ok(!defined peer_read($_, 0), 'nothing for ' . peer_addr($_))
    for $peer, $other, $neighbour;


sub bind_code {
    return $c->bind_channel(@_)->{code};
}


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret');
}
