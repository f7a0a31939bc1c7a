#!/usr/bin/perl

# Tests for the number of allocations of an IPv6 address: it is one for all
# addresses of a /64.  In a network of the test's own.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;
use Test::Nginx::TRP::TURN;

fault_network();

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
        listen [2001:db8::1]:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_quota address=2;
    }
}

EOC

address($_) for '2001:db8::1', map({ "2001:db8:0:1::$_" } 1 .. 4),
    '2001:db8:0:2::1';

$t->run()->plan(4);

my @one = map { client($_) } map { "2001:db8:0:1::$_" } 1 .. 4;

is(codes(@one), '0 0 486 486', 'addresses of one /64');
is(codes(client('2001:db8:0:2::1')), '0', 'another /64');

$one[1]->refresh(0);
is(codes(@one[2, 3]), '0 486', 'one ends, another begins');

is(codes(map { client("127.0.0.$_") } 1 .. 4), '0 0 0 0',
    'each address of IPv4');


sub codes {
    return join ' ', map { $_->allocate()->{code} } @_;
}


sub client {
    my ($from) = @_;
    my $host = $from =~ /:/ ? '2001:db8::1' : '127.0.0.1';

    return turn(host => $host, from => $from, port => port(8478, udp => 1),
        user => 'alice', password => 'secret');
}


sub address {
    my ($address) = @_;

    plan(skip_all => 'no IPv6 addresses')
        if system("ip addr add $address/128 dev lo nodad 2>/dev/null") != 0;
}
