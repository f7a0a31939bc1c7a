#!/usr/bin/perl

# Tests for ICMP errors, which the client gets as Data with ICMP.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

# ::1 is not everywhere

my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 1 : 0;

my $conf = <<'EOC';

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
        #trp_turn_external_address ::1;
        trp_turn_allow 127.0.0.0/8 ::1;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->write_file_expand('nginx.conf', $ipv6 ? $conf =~ s/#//gr : $conf);
$t->run()->plan(24);

all_of('UDP', client());
all_of('TCP', client(transport => 'tcp', port => port(8479)));

SKIP: {
    skip 'no IPv6', 3 if !$ipv6;

    my $c = client();
    my $addr = closed('::1');

    $c->allocate([ 'requested-address-family' => 'ipv6' ]);
    $c->permit($addr);
    $c->send_to($addr, 'hello');

    my $m = $c->read();
    is($m->{attr}->{'xor-peer-address'}, $addr, 'IPv6: the peer');
    is($m->{attr}->{icmp}->{type}, 1, 'IPv6: destination unreachable');
    is($m->{attr}->{icmp}->{code}, 4, 'IPv6: port unreachable');
}

# only for whom it is

my ($c, $other) = (client(), client());
my $addr = closed('127.0.0.1');

$_->allocate() for $c, $other;
$_->permit($addr) for $c, $other;
$c->send_to($addr, 'hello');
is($c->read()->{attr}->{icmp}->{type}, 3, 'the one that has sent');
ok($other->quiet(), 'not another client');
is($c->refresh()->{code}, 0, 'the allocation lives on');


sub all_of {
    my ($name, $c) = @_;
    my $addr = closed('127.0.0.1');

    $c->allocate();
    $c->permit($addr);
    $c->send_to($addr, 'hello');

    my $m = $c->read();
    is("$m->{method} $m->{class}", 'data indication', "$name: Data");
    is($m->{attr}->{'xor-peer-address'}, $addr, "$name: the peer");
    is($m->{attr}->{icmp}->{type}, 3, "$name: destination unreachable");
    is($m->{attr}->{icmp}->{code}, 3, "$name: port unreachable");
    is($m->{attr}->{icmp}->{data}, 0, "$name: error data");
    ok(!defined $m->{attr}->{data}, "$name: no DATA");

    # one for each packet; others are not in its way

    my $peer = turn_peer();
    $c->send_to($addr, 'again');
    $c->send_to(peer_addr($peer), 'hello');
    is(scalar peer_read($peer), 'hello', "$name: another peer");
    is($c->read()->{attr}->{'xor-peer-address'}, $addr, "$name: again");

    # there is no form of it for channels

    $c->bind_channel(0x4000, $addr);
    $c->send_channel(0x4000, 'hello');
    $m = $c->read();
    is("$m->{method} $m->{attr}->{icmp}->{code}", 'data 3', "$name: channel");
}


# a port where nobody is

sub closed {
    my ($host) = @_;
    return peer_addr(turn_peer($host));
}


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret',
        @_);
}
