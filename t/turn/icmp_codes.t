#!/usr/bin/perl

# Tests for ICMP errors of other kinds than "port unreachable", in a network
# of the test's own.

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
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
        trp_turn_allow 127.0.0.0/8 ::1;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

# a port for each kind of error: the packet filter answers

my @kinds = (
    [ 9001, 'icmp', 'net-unreachable', 3, 0 ],
    [ 9002, 'icmp', 'host-unreachable', 3, 1 ],
    [ 9003, 'icmp', 'prot-unreachable', 3, 2 ],
    [ 9004, 'icmp', 'port-unreachable', 3, 3 ],
    [ 9005, 'icmp', 'net-prohibited', 3, 9 ],
    [ 9006, 'icmp', 'host-prohibited', 3, 10 ],
    [ 9007, 'icmp', 'admin-prohibited', 3, 13 ],
    [ 9008, 'icmpv6', 'no-route', 1, 0 ],
    [ 9009, 'icmpv6', 'admin-prohibited', 1, 1 ],
    [ 9010, 'icmpv6', 'addr-unreachable', 1, 3 ],
    [ 9011, 'icmpv6', 'port-unreachable', 1, 4 ],
);

nft('add chain inet fault in { type filter hook input priority 0; }');

for my $kind (@kinds) {
    my ($port, $protocol, $name) = @$kind;
    my $version = $protocol eq 'icmp' ? 4 : 6;

    nft("add rule inet fault in meta nfproto ipv$version udp dport $port"
        . " reject with $protocol type $name");
}

$t->run()->plan(@kinds + 2);

my %clients = map { my ($family) = $_;
    my $c = turn(port => port(8478), user => 'alice', password => 'secret');
    $c->allocate([ 'requested-address-family' => $family ]);
    $c->permit($family eq 'ipv6' ? '[::1]:0' : '127.0.0.1');
    $family => $c } qw/ ipv4 ipv6 /;

for my $kind (@kinds) {
    my ($port, $protocol, $name, $type, $code) = @$kind;
    my $ipv6 = $protocol eq 'icmpv6';
    my $c = $clients{$ipv6 ? 'ipv6' : 'ipv4'};
    my $peer = $ipv6 ? "[::1]:$port" : "127.0.0.1:$port";

    $c->send_to($peer, 'hello');
    my $attr = ($c->read() || {})->{attr};

    is(join(' ', $attr->{'xor-peer-address'}, map { $attr->{icmp}->{$_} }
        qw/ type code /), "$peer $type $code", "$protocol $name");
}

# the allocations have not suffered

is($clients{$_}->refresh()->{code}, 0, "$_ goes on") for qw/ ipv4 ipv6 /;


sub nft {
    my ($rule) = @_;
    system('nft', $rule) == 0 or die "nft has failed: $rule\n";
}
