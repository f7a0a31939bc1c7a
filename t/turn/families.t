#!/usr/bin/perl

# Tests for IPv4 and IPv6 relayed addresses, one or both in an allocation.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

plan(skip_all => 'no IPv6')
    if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

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
    trp_turn_allow 127.0.0.0/8 ::1;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen [::1]:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;
        listen [::1]:%%PORT_8479_UDP%% udp;
        trp_turn;
        trp_turn_external_address 127.0.0.1;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        listen [::1]:%%PORT_8480_UDP%% udp;
        trp_turn;
        trp_turn_external_address ::1;
    }

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp;
        listen [::1]:%%PORT_8481_UDP%% udp;
        trp_turn;
    }
}

EOC

$t->run()->plan(77);

my %peers = (4 => turn_peer('127.0.0.1'), 6 => turn_peer('::1'));
my %addrs = map { $_ => peer_addr($peers{$_}) } keys %peers;

# clients of both families, and what they ask for

for my $host ('127.0.0.1', '::1') {
    my $c = client($host);
    is($c->allocate()->{code}, 0, "$host: nothing asked for");
    like($c->relayed(), qr/^127\.0\.0\.1:/, "$host: IPv4");

    $c = client($host);
    is(family($c, 'ipv4'), 0, "$host: IPv4 asked for");
    like($c->relayed(), qr/^127\.0\.0\.1:/, "$host: its address");
    relays($c, 4, "$host, IPv4");
    is($c->permit($addrs{6})->{code}, 443, "$host: no IPv6 peer");
    is($c->bind_channel(0x4fff, $addrs{6})->{code}, 443, "$host: nor channel");

    $c = client($host);
    is(family($c, 'ipv6'), 0, "$host: IPv6 asked for");
    like($c->relayed(), qr/^\[::1\]:/, "$host: its address");
    relays($c, 6, "$host, IPv6");
    is($c->permit($addrs{4})->{code}, 443, "$host: no IPv4 peer");
    is($c->bind_channel(0x4fff, $addrs{4})->{code}, 443, "$host: nor channel");

    # Send of the other family

    $c->send_to($addrs{4}, 'wrong family');
    ok($c->quiet(), "$host: Send of the other family");

    $c = client($host);
    my $r = both($c);
    is($r->{code}, 0, "$host: both");
    is(scalar @{$r->{all}->{'xor-relayed-address'} || []}, 2,
        "$host: two addresses");
    is(($c->relayed4() || '') =~ s/.*://r, ($c->relayed6() || 'x') =~ s/.*://r,
        "$host: of the same port");
    relays($c, 4, "$host, both: IPv4");
    relays($c, 6, "$host, both: IPv6");
    is($c->permit(@addrs{4, 6})->{code}, 0, "$host: in one request");
}

# wrong requests

is(error('requested-address-family' => 3), 440, 'unknown family');
is(error('requested-address-family' => 0), 440, 'no family');
is(error('additional-address-family' => 'ipv4'), 400, 'IPv4 in addition');
is(error('additional-address-family' => 3), 400, 'another one in addition');
is(error('requested-address-family' => 'ipv4',
    'additional-address-family' => 'ipv6'), 400, 'both attributes');
is(error('requested-address-family' => 'ipv6',
    'additional-address-family' => 'ipv6'), 400, 'both, IPv6');

# what the server does not have

is(family(client('127.0.0.1', 8479), 'ipv6'), 440, 'no IPv6 here');
is(family(client('::1', 8479), 'ipv6'), 440, 'not for an IPv6 client');
is(family(client('127.0.0.1', 8479), 'ipv4'), 0, 'but IPv4');
is(family(client('127.0.0.1', 8480), 'ipv4'), 440, 'no IPv4 here');
is(client('127.0.0.1', 8480)->allocate()->{code}, 440, 'IPv4 is the default');
is(client('::1', 8480)->allocate()->{code}, 440, 'for each client');
is(family(client('127.0.0.1', 8480), 'ipv6'), 0, 'but IPv6');

my $c = client('127.0.0.1', 8479);
my $r = both($c);
is($r->{code}, 0, 'one of both');
is("@{$r->{all}->{'xor-relayed-address'} || []}", $c->relayed4(), 'IPv4');
is_deeply([ @{$r->{attr}->{'address-error-code'} || []}[0, 2] ], [ 440, 2 ],
    'and an error for IPv6');

# without an external address: that of the request

is(client('127.0.0.1', 8481)->allocate()->{code}, 0, 'no address set');
is(family(client('127.0.0.1', 8481), 'ipv6'), 440, 'its family only');
$c = client('::1', 8481);
is(family($c, 'ipv6'), 0, 'no address set, IPv6');
like($c->relayed(), qr/^\[::1\]:/, 'its address');

# Refresh of one family

$c = client('127.0.0.1');
both($c);
$c->permit(@addrs{4, 6});

is(refresh($c, 600, 'ipv4'), 0, 'refresh of IPv4');
is(refresh($c, 600, 'ipv6'), 0, 'refresh of IPv6');
is($c->refresh(600)->{code}, 0, 'refresh of both');
is(refresh($c, 0, 'ipv6'), 0, 'IPv6 is deleted');
is(refresh($c, 600, 'ipv6'), 443, 'it is no more');
is(refresh($c, 600, 'ipv4'), 0, 'IPv4 is still there');
is(refresh($c, 0, 'ipv4'), 0, 'IPv4 is deleted');
is($c->refresh(600)->{code}, 437, 'nothing is left');

$c = client('127.0.0.1');
family($c, 'ipv4');
is(refresh($c, 600, 'ipv6'), 443, 'refresh of the other family');
is(refresh($c, 0, 'ipv6'), 443, 'deletion of the other family');
is(refresh($c, 600, 'ipv4'), 0, 'it is still there');


# there and back, by Send and by a channel

sub relays {
    my ($c, $family, $name) = @_;
    my ($peer, $addr) = ($peers{$family}, $addrs{$family});
    my $relayed = $family == 4 ? $c->relayed4() : $c->relayed6();

    $c->permit($addr);
    $c->send_to($addr, 'sent');
    my @got = peer_read($peer);

    peer_send($peer, $relayed, 'back');
    my $m = $c->read() || { attr => {} };
    push @got, @{$m->{attr}}{qw/ data xor-peer-address /};

    is("@got", "sent $relayed back $addr", "$name: Send and Data");

    $c->bind_channel(0x4000 + $family, $addr);
    $c->send_channel(0x4000 + $family, 'sent');
    @got = peer_read($peer);

    peer_send($peer, $relayed, 'back');
    $m = $c->read();
    push @got, $m->{data}, $m->{channel} - 0x4000;

    is("@got", "sent $relayed back $family", "$name: channel");
}


sub family {
    my ($c, $family) = @_;
    return $c->allocate([ 'requested-address-family' => $family ])->{code};
}


sub both {
    my ($c) = @_;
    return $c->allocate([ 'additional-address-family' => 'ipv6' ]);
}


sub error {
    my (@attrs) = @_;
    return client('127.0.0.1')->allocate(\@attrs)->{code};
}


sub refresh {
    my ($c, $lifetime, $family) = @_;

    return $c->refresh($lifetime, [ 'requested-address-family' => $family ])
        ->{code};
}


sub client {
    my ($host, $port) = @_;

    return turn(port => port($port || 8478), host => $host, user => 'alice',
        password => 'secret');
}
