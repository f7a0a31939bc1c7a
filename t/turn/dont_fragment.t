#!/usr/bin/perl

# Tests for DONT-FRAGMENT: the DF bit of what peers get.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use Socket qw/ AF_INET SOCK_RAW inet_aton pack_sockaddr_in /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

# a raw socket sees the IP header

socket my $raw, AF_INET, SOCK_RAW, 17
    or plan(skip_all => 'no raw sockets, root has them');

# at once, or it gets the packets of all others first

bind $raw, pack_sockaddr_in(0, inet_aton('127.0.0.9')) or die "bind: $!\n";

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
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(12);

my $peer = turn_peer('127.0.0.9');
my $addr = peer_addr($peer);

my $c = turn(port => port(8478), user => 'alice', password => 'secret');

is($c->allocate([ 'dont-fragment' => '' ])->{code}, 0, 'allocated');
$c->permit($addr);

$c->send_to($addr, 'whole', 'dont-fragment' => '');
is(scalar peer_read($peer), 'whole', 'it arrives');
is(df('whole'), 1, 'DF');

$c->send_to($addr, 'maybe');
is(scalar peer_read($peer), 'maybe', 'without the attribute');
is(df('maybe'), 0, 'no DF');

# in turn

for my $i (1 .. 4) {
    $c->send_to($addr, "whole $i", 'dont-fragment' => '');
    $c->send_to($addr, "maybe $i");
}

peer_read($peer) for 1 .. 8;
is(join(' ', map { df("whole $_") . df("maybe $_") } 1 .. 4), '10 10 10 10',
    'in turn');

# an allocation that has not asked for it

my $d = turn(port => port(8478), user => 'alice', password => 'secret');

$d->allocate();
$d->permit($addr);
$d->send_to($addr, 'ask', 'dont-fragment' => '');
is(scalar peer_read($peer), 'ask', 'another allocation');
is(df('ask'), 1, 'its DF');

# a value is of no meaning, more than a datagram can hold is dropped

$c->send_to($addr, 'value', 'dont-fragment' => 'abc');
is($c->quiet(), 1, 'with a value');
peer_read($peer, 0);

$c->send_to($addr, 'x' x 60000, 'dont-fragment' => '');
is(length peer_read($peer), 60000, 'large');

# channels

$c->bind_channel(0x4000, $addr);
$c->send_channel(0x4000, 'channel');
is(scalar peer_read($peer), 'channel', 'channel');
is(df('channel'), 0, 'channel: no DF');


# the DF bit of the packet with this data

sub df {
    my ($data) = @_;

    while (IO::Select->new($raw)->can_read(30)) {
        defined recv $raw, my $packet, 65536, 0 or last;
        my $length = 4 * (ord($packet) & 15);
        next if substr($packet, $length + 8) ne $data;
        return ord(substr $packet, 6, 1) & 0x40 ? 1 : 0;
    }

    return 'none';
}
