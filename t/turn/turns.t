#!/usr/bin/perl

# Tests for clients over TCP that send more than a worker can take at once:
# others are served in between.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(5);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478%%;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
    }
}

EOC

$t->run();

my $worker = wait_for(sub { (worker_pids($t))[0] });
my $nothing = channel_data(0x4000, '') x 8_000;

# strangers: a lot of nothing, and behind it what ends the connection

my $alone = client(from => '127.0.0.2');
my @others = map { client() } 1 .. 4;

$_->binding() for $alone, @others;

kill 'STOP', $worker;
is(join(' ', map { fill_with($_->socket(), "$nothing\xff\xff\xff\xff") }
    @others), join(' ', (32_004) x 4), 'strangers: sent');
syswrite $alone->socket(), "\xff\xff\xff\xff";
kill 'CONT', $worker;

ok(wait_log($t, qr/neither STUN nor ChannelData/, count => 5),
    'strangers: all were read');

my ($first) = $t->read_file('error.log')
    =~ /neither STUN nor ChannelData.*?client: ([\d.]+)/;
is($first, '127.0.0.2', 'strangers: who had least to say was first');

# clients: the same, through a channel to nobody, and behind it a datagram

my $peer = turn_peer();

($alone, @others) = map { client() } 0 .. 4;

for my $c ($alone, @others) {
    $c->allocate();
    $c->bind_channel(0x4000, '127.0.0.1:9');
    $c->bind_channel(0x4001, peer_addr($peer));
}

kill 'STOP', $worker;
is(join(' ', map { fill_with($_->socket(), $nothing
    . channel_data(0x4001, 'much', pad => 1)) } @others),
    join(' ', (32_008) x 4), 'clients: sent');
$alone->write(channel_data(0x4001, 'little', pad => 1));
kill 'CONT', $worker;

is(join(' ', map { scalar peer_read($peer) } 0 .. 4), 'little much much much much',
    'clients: who had least to say was first');


sub fill_with {
    my ($s, $bytes) = @_;
    my $sent = 0;

    while ($sent < length $bytes) {
        my $n = syswrite $s, $bytes, 65536, $sent;
        last if !defined $n;
        $sent += $n;
    }

    return $sent;
}


sub client {
    return turn(port => port(8478), transport => 'tcp', user => 'alice',
        password => 'secret', @_);
}
