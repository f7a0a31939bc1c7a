#!/usr/bin/perl

# Tests for peers at the server's own address: ports of allocations of the same
# protocol may be reached, and nothing else that this machine has.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(7);

# a TCP service of this machine on the first of two ports

my ($first, $service);

wait_for(sub {
    $first = 13000 + 2 * int rand 500;
    return $service = eval { close listener($first + 1); listener($first) };
});

my $range = $first . '-' . ($first + 1);

$t->write_file_expand('nginx.conf', <<"EOC");

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
    trp_turn_tcp_allocations on;
    trp_turn_ports $range;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;

        trp_turn;
    }
}

EOC

$t->run();

my @as = (user => 'alice', password => 'secret');

my $udp = turn(port => port(8479), @as);
is($udp->allocate([ 'even-port' => 0 ])->{code}, 0, 'UDP, the even port');
is($udp->relayed(), "127.0.0.1:$first", 'which the service has over TCP');

my $tcp = turn(port => port(8478), transport => 'tcp', @as);
is($tcp->allocate([], protocol => 'tcp')->{code}, 0, 'TCP, the odd one');

is($tcp->call('connect', [ 'xor-peer-address' => "127.0.0.1:$first" ])->{code},
    403, 'TCP to the port of a UDP allocation');
is($udp->call('channelbind', [ 'channel-number' => 0x4000,
    'xor-peer-address' => '127.0.0.1:' . ($first + 1) ])->{code},
    403, 'UDP to the port of a TCP allocation');
is($udp->call('channelbind', [ 'channel-number' => 0x4000,
    'xor-peer-address' => "127.0.0.1:$first" ])->{code},
    0, 'UDP to the port of a UDP allocation');

ok(!IO::Select->new($service)->can_read(0), 'the service has heard nothing');

$_->call('refresh', [ lifetime => 0 ]) for $udp, $tcp;
