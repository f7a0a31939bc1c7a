#!/usr/bin/perl

# Tests for clients of one server that is behind a NAT, and talk to each other:
# what goes from relayed address to relayed address stays inside, and comes
# from the sender's (RFC 8656, sections 11.2 and 12.6).  With each kind of
# client, in several workers, before and after a reload, whatever is denied.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::Stream;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return
    socket_ssl /);

plan(skip_all => 'no IPv6')
    if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

# addresses that no machine has

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_tcp_allocations on;
    trp_turn_deny all;

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8478%% reuseport;
        listen 127.0.0.1:%%PORT_8479%% ssl reuseport;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_external_address 192.0.2.77;
        trp_turn_external_address 2001:db8::77;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp reuseport;

        trp_turn;
        trp_turn_external_address 192.0.2.78;
    }

    server {
        listen 127.0.0.1:%%PORT_8482%%;
        return $trp_turn_dropped;
    }
}

EOC

trp_cert($t);

my %ports = (udp => 8481, tcp => 8478, tls => 8479);
my @all;
my @kinds = sort keys %ports;

$t->run()->plan(4 + 3 + 4 + 5 + 2);

my %before = map { $_ => [ pairs($_) ] } qw/ ipv4 ipv6 /;

is(relayed_both_ways(@{$before{$_}}), '', "UDP, $_") for sort keys %before;

reload_and_wait($t);

# of old workers, and between old ones and new ones

my %after = map { $_ => [ map { [ $_->[0], client('udp', $_->[2]) ] }
    @{$before{$_}} ] } sort keys %before;

is(relayed_both_ways(@{$before{$_}}, map { [ @$_, 1 ] } @{$after{$_}}), '',
    "UDP, $_, after a reload") for sort keys %before;

# nothing else is open: neither the server's own ports, nor ports that nobody
# has, nor who has not asked for it

my ($a, $b) = map { client('udp', 'ipv4') } 1 .. 2;
is($a->bind_channel(0x4001, '192.0.2.77:' . port(8481))->{code}, 403,
    'not the ports of the server');

$a->permit('192.0.2.77');
my $dropped = dropped();
$a->send_to($b->relayed(), 'nobody asked');
wait_for(sub { dropped() > $dropped });
$b->permit('192.0.2.77');
$a->send_to($b->relayed(), 'but now');
is($b->expect('data')->{attr}->{data}, 'but now', 'with a permission');

$b->refresh(0);
is($a->bind_channel(0x4001, $b->relayed())->{code}, 403,
    'not who has gone');

# to itself: once

$a->send_to($a->relayed(), 'echo');
my $m = $a->expect('data');
is($m->{attr}->{data}, 'echo', 'to itself');
is($m->{attr}->{'xor-peer-address'}, $a->relayed(), 'from itself');
ok($a->quiet(), 'once');

# a server with another address is another server, whose rules hold

is(client('udp', 'ipv4', 8480)->permit('192.0.2.77')->{code}, 403,
    'another server');

# TCP to peers

for my $kind (qw/ tcp tls /) {
    my ($one, $two) = map { client($kind, 'ipv4', undef, 'tcp') } 1 .. 2;

    is(join(' ', connected($one, $two)), 'there and back', "$kind: connected");

    next if $kind eq 'tls';

    reload_and_wait($t);

    my $new = client($kind, 'ipv4', undef, 'tcp');
    is(join(' ', connected($one, $new)), 'there and back',
        "$kind: to a new worker");
    is(join(' ', connected($new, $two)), 'there and back',
        "$kind: from a new worker");
    $_->close() for $one, $two, $new;
}

my ($one, $two) = map { client('tcp', 'ipv6', undef, 'tcp') } 1 .. 2;
is(join(' ', connected($one, $two)), 'there and back', 'IPv6');

is($one->call('connect', [ 'xor-peer-address' => $a->relayed() ])->{code},
    443, 'not to another family');

# nginx waits for what is left of them

for my $c (grep { $_->{socket} } @all) {
    $c->refresh(0) if $c->{transport} eq 'udp';
    $c->close();
}

is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');


# an allocation

sub client {
    my ($kind, $family, $server, $protocol) = @_;

    my $c = turn(port => port($server || $ports{$kind}),
        transport => $kind, user => 'alice', password => 'secret');

    my $r = $c->allocate($family eq 'ipv6'
        ? [ 'requested-address-family' => 'ipv6' ] : [],
        protocol => $protocol);
    diag("allocate: $r->{code}") if $r->{code} ne '0';

    push @all, $c;
    return $c;
}


sub dropped {
    return Test::Nginx::Stream->new(PeerAddr => '127.0.0.1:' . port(8482))
        ->read();
}


# all combinations of clients, several times, for all the workers

sub pairs {
    my ($family) = @_;

    return map { my $one = $_; map { [ client($one, $family),
        client($_, $family), $family ] } @kinds, @kinds } @kinds;
}


# Send one way, a channel the other; what was wrong

sub relayed_both_ways {
    my @wrong;

    for (@_) {
        my ($one, $two) = @$_;

        my $permitted = $one->permit($two->relayed());
        return "permission $permitted->{code}" if $permitted->{code} ne '0';

        my $bound = $two->bind_channel(0x4000, $one->relayed());

        $one->send_to($two->relayed(), 'hello');
        my $there = $two->expect('channel') || {};

        $two->send_channel(0x4000, 'hi');
        my $back = $one->expect('data') || {};

        my $from = ($back->{attr} || {})->{'xor-peer-address'} || '';

        push @wrong, "$one->{transport} $two->{transport}: $bound->{code}"
            if ($there->{data} || '') ne 'hello'
                || ($back->{attr}->{data} || '') ne 'hi'
                || $from ne $two->relayed();
    }

    return join ', ', @wrong;
}


# Connect, ConnectionAttempt, and both data connections

sub connected {
    my ($one, $two) = @_;

    $two->permit($one->relayed());

    my $r = $one->call('connect', [ 'xor-peer-address' => $two->relayed() ]);
    return "connect $r->{code}" if $r->{code} ne '0';

    my $m = $two->expect('connectionattempt') or return 'no attempt';
    return "from $m->{attr}->{'xor-peer-address'}"
        if $m->{attr}->{'xor-peer-address'} ne $one->relayed();

    my ($here) = $one->bind_connection($r->{attr}->{'connection-id'});
    my ($there) = $two->bind_connection($m->{attr}->{'connection-id'});

    $here->write('there and');
    my $got = $there->read_bytes(9);
    $there->write('back');

    return ($got, $here->read_bytes(4));
}
