#!/usr/bin/perl

# Tests for a machine with several addresses: peers see the address that the
# client was told, be it an external one, or the one where the client has found
# the server; also with Connect (RFC 6062).  From the loopback nobody else can
# be reached: others see the address that the kernel chooses.  Behind a NAT it
# is the kernel's choice, too.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

# addresses of its own, in a network of its own

if (!$ENV{TRP_OWN_NETWORK}) {

    for my $command ('unshare -n true', 'ip -V') {
        plan(skip_all => "no network namespace: $command")
            if system("($command) >/dev/null 2>&1") != 0;
    }

    $ENV{TRP_OWN_NETWORK} = 1;
    exec 'unshare', '-n', $^X, map({ "-I$_" } grep { !ref } @INC),
        "$FindBin::Bin/$FindBin::Script"
        or die "can't run unshare: $!\n";
}

system("ip link set lo up"
    . ' && ip addr add 198.51.100.1/24 dev lo'
    . ' && ip addr add 198.51.100.2/24 dev lo'
    . ' && ip addr add 198.51.100.9/24 dev lo'
    . ' && ip addr add 2001:db8::1/64 dev lo nodad'
    . ' && ip addr add 2001:db8::2/64 dev lo nodad'
    . ' && ip addr add 2001:db8::9/64 dev lo nodad') == 0
    or plan(skip_all => 'no addresses');

use IO::Socket::IP;

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

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_allow all;
    trp_turn_tcp_allocations on;

    server {
        listen 198.51.100.2:%%PORT_8478%%;
        listen 198.51.100.2:%%PORT_8479_UDP%% udp;
        listen 127.0.0.2:%%PORT_8478%%;
        listen 127.0.0.2:%%PORT_8479_UDP%% udp;
        trp_turn;
    }

    server {
        listen %%PORT_8480%%;
        listen [::]:%%PORT_8480%%;
        listen %%PORT_8481_UDP%% udp;
        listen [::]:%%PORT_8481_UDP%% udp;
        trp_turn;
    }

    server {
        listen %%PORT_8482%%;
        listen %%PORT_8483_UDP%% udp;
        trp_turn;
        trp_turn_external_address 198.51.100.2;
        trp_turn_external_address 2001:db8::2;
    }

    server {
        listen %%PORT_8484%%;
        listen %%PORT_8485_UDP%% udp;
        trp_turn;
        trp_turn_external_address 192.0.2.1;
    }

    server {
        listen %%PORT_8486%%;
        listen %%PORT_8487_UDP%% udp;
        trp_turn;
        trp_turn_external_address 192.0.2.1 local=198.51.100.2;
    }

    server {
        listen %%PORT_8489_UDP%% udp;
        trp_turn;
        trp_turn_external_address 192.0.2.1 local=203.0.113.77;
    }
}

EOC

$t->run()->plan(24);

# peers at an address of its own, to which the kernel would go from there

my %peers = map { $_ => [ turn_peer($_), IO::Socket::IP->new(Listen => 9,
    LocalHost => $_) ] } '127.0.0.1', '198.51.100.9', '2001:db8::9';

my ($far, $far6) = ('198.51.100.9', '2001:db8::9');

# where the client has found the server

seen(8479, '198.51.100.2', $far, '198.51.100.2', 'an address');
seen(8479, '127.0.0.2', '127.0.0.1', '127.0.0.2', 'on the loopback');
seen(8481, '198.51.100.2', $far, '198.51.100.2', 'wildcard');
seen(8481, '127.0.0.5', '127.0.0.1', '127.0.0.5', 'wildcard, loopback');
seen(8481, '2001:db8::2', $far6, '2001:db8::2', 'wildcard, IPv6');

# the external address

seen(8483, '198.51.100.1', $far, '198.51.100.2', 'external');
seen(8483, '127.0.0.1', $far, '198.51.100.2', 'external, from the loopback');
seen(8483, '127.0.0.1', $far6, '2001:db8::2', 'external, IPv6');

# the kernel's choice: the first one

seen(8479, '127.0.0.2', $far, '198.51.100.1', 'from the loopback to others',
    '127.0.0.2');
seen(8485, '127.0.0.1', $far, '198.51.100.1', 'behind a NAT', '192.0.2.1');


# or as it is configured

seen(8487, '127.0.0.1', $far, '198.51.100.2', 'local', '192.0.2.1');

is(turn(port => port(8489), user => 'alice', password => 'secret')->allocate()
    ->{code}, 508, 'not of this machine');
like($t->read_file('error.log'), qr/local address of .* not this machine's/,
    'said in the log');


# over UDP, and with Connect, for which the port is one less

sub seen {
    my ($port, $host, $peer, $from, $name, $told) = @_;
    my ($udp, $tcp) = @{$peers{$peer}};
    my $v6 = $peer =~ /:/;

    my @to = (host => $host, user => 'alice', password => 'secret');
    my @family = $v6 ? ('requested-address-family' => 'ipv6') : ();

    $told = defined $told ? $told : $from;
    ($told, $from) = map { $v6 ? "[$_]" : $_ } $told, $from;

    my $c = turn(port => port($port), @to);
    $c->allocate([ @family ]);
    $c->bind_channel(0x4000, peer_addr($udp));
    $c->send_channel(0x4000, 'hello');

    my ($data, $by) = peer_read($udp);
    peer_send($udp, $by, 'hi') if $by;

    is(join(' ', $by || '', $c->relayed(), ($c->expect('channel') || {})
        ->{data} || ''), join(' ', map({ $_ . port_of($c) } $from, $told),
        'hi'), "UDP, $name");

    $c = turn(port => port($port - 1), transport => 'tcp', @to);
    $c->allocate([ @family ], protocol => 'tcp');

    my $r = $c->call('connect', [ 'xor-peer-address' => peer_addr($tcp) ]);
    my $s = $r->{code} eq '0' ? $tcp->accept() : undef;

    is(join(' ', $r->{code}, $s ? peer_addr(getpeername $s) : '',
        $c->relayed()), join(' ', 0, map { $_ . port_of($c) } $from, $told),
        "TCP, $name");
}


sub port_of {
    my ($c) = @_;
    return $c->relayed() =~ /(:\d+)$/ ? $1 : '';
}
