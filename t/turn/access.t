#!/usr/bin/perl

# Tests for the peers that clients may reach: what is denied by default, in
# each way to write an address, in each request that names a peer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;
use Socket qw/ AF_INET inet_pton /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_return /);

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
    trp_turn_unauthenticated_rate 10000r/s;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_external_address 192.0.2.1;
        trp_turn_external_address 2001:db8::1;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        listen 127.0.0.1:%%PORT_8481%%;
        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
        trp_turn_allow 127.0.0.2 10.1.0.0/16 2002::/16 fc00::/8;
        trp_turn_deny 10.1.2.0/24 8.8.0.0/16 2001:4860::/32;
    }

    server {
        listen 127.0.0.1:%%PORT_8482_UDP%% udp;
        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
        trp_turn_allow all;
        trp_turn_deny 127.0.0.66;
    }

    server {
        listen 127.0.0.1:%%PORT_8483%%;
        return $trp_turn_denied;
    }
}

EOC

$t->run()->plan(17);

# first and last address of what is denied

my @denied = map { split } <<'EOT';
0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255
127.0.0.0 127.0.0.1 127.255.255.255 169.254.0.0 169.254.169.254
169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0
192.0.2.255 192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0
198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255
224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255
EOT

my @denied6 = map { split } <<'EOT';
:: ::1 ::ffff:0.0.0.0 ::ffff:8.8.8.8 ::ffff:255.255.255.255 64:ff9b:1::
64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::ffff:ffff:ffff:ffff 2001::
2001:0:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8::
2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002::
2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2002:808:808::1 fc00::
fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe80::
febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff ff00:: ff02::1
ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
EOT

# their neighbours

my @allowed = map { split } <<'EOT';
1.0.0.0 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0
126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255
172.32.0.0 191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.88.98.255
192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
EOT

my @allowed6 = map { split } <<'EOT';
2001:4860:4860::8888 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::
2001:1:: 2003:: 2606:4700::1 64:ff9b::808:808
EOT

# IPv4 addresses inside IPv6 ones

my %inside = (
    'IPv4-mapped' => sub { "::ffff:$_[0]" },
    'IPv4-compatible' => sub { "::$_[0]" },
    '6to4' => sub { "2002:" . hex4($_[0]) . "::1" },
    'NAT64' => sub { "64:ff9b::" . hex4($_[0]) },
    'local NAT64' => sub { "64:ff9b:1::" . hex4($_[0]) },
    'ISATAP' => sub { "2606:4700::5efe:" . hex4($_[0]) },
    'global ISATAP' => sub { "2606:4700::200:5efe:" . hex4($_[0]) },
    'Teredo' => sub { "2001:0:" . hex4($_[0]) . "::1" },
);

my @inner = qw/ 0.0.0.0 127.0.0.1 10.0.0.1 169.254.169.254 192.168.1.1
    100.64.0.1 224.0.0.1 255.255.255.255 /;

my @clients = map { my $c = client(8478, @$_); $c } [ 'ipv4' ], [ 'ipv6' ],
    [ 'ipv4', 'tcp' ], [ 'ipv6', 'tcp' ];

is(wrong(403, @denied), '', 'denied');
is(wrong(403, @denied6), '', 'denied, IPv6');
is(wrong('0', @allowed), '', 'their neighbours');
is(wrong('0', @allowed6), '', 'their neighbours, IPv6');

for my $kind (sort keys %inside) {
    is(wrong(403, map { $inside{$kind}->($_) } @inner), '', $kind);
}

# allow and deny

is(wrong(403, [ 8480 ], qw/ 127.0.0.3 10.0.0.1 10.2.0.1 10.1.2.0 10.1.2.255
    8.8.8.8 2001:4860::1 2002:7f00:1:: 2002:a00:1:: 2002:a01:203:: fd00::
    ::ffff:127.0.0.2 ::ffff:10.1.0.1 64:ff9b::808:808
    64:ff9b::a01:203 /), '', 'denied by the lists');
is(wrong(0, [ 8480 ], qw/ 127.0.0.2 10.1.0.0 10.1.255.255 8.9.0.0
    2002:a01:101::1 fc00::1 /), '', 'allowed by the lists');
is(wrong(403, [ 8482 ], '127.0.0.66', '::ffff:127.0.0.66'), '',
    'denied, all others are not');
is(wrong(0, [ 8482 ], qw/ 127.0.0.1 10.0.0.1 ::1 fe80::1 2001:db8::1 /), '',
    'all others');

# counted

my $before = denied();
my $c = $clients[0];
$c->permit('10.0.0.1');
$c->bind_channel(0x4002, '10.0.0.1:80');
$c->send_to('10.0.0.1:80', 'no');
ok(wait_for(sub { denied() >= $before + 2 }), 'denials are counted');


# the addresses for which a request had another code, and what it was

sub wrong {
    my ($code, @hosts) = @_;
    my $port = ref $hosts[0] ? (shift @hosts)->[0] : 0;
    my @own = $port ? map({ client($port, $_) } qw/ ipv4 ipv6 /) : @clients;
    my @wrong;

    for my $host (@hosts) {
        my $peer = $host =~ /:/ ? "[$host]:80" : "$host:80";
        my ($udp, $tcp) = @own[$host =~ /:/ ? (1, 3) : (0, 2)];
        my $number = 0x4000 + $udp->{number}++;

        my @codes = map { $_->{code} } $udp->permit($peer),
            $udp->bind_channel($number, $peer);

        # what is not denied would be connected to

        push @codes, $tcp->permit($peer)->{code} if $tcp;
        push @codes, $tcp->call('connect', [ 'xor-peer-address' => $peer ])
            ->{code} if $tcp && $code eq '403';

        push @wrong, "$host @codes" if grep { !/^(?:$code)$/ } @codes;
    }

    return join ', ', @wrong;
}


sub hex4 {
    return sprintf '%x:%x', unpack 'n n', inet_pton(AF_INET, $_[0]);
}


sub denied {
    return turn(transport => 'tcp', port => port(8483))->read_bytes();
}


sub client {
    my ($port, $family, $protocol) = @_;
    my $tcp = ($protocol || 'udp') eq 'tcp';

    my $c = turn(port => port($tcp ? $port + 1 : $port), user => 'alice',
        password => 'secret', $tcp ? (transport => 'tcp') : ());
    $c->allocate([ 'requested-address-family' => $family ],
        protocol => $protocol);

    $c->{number} = 1;
    return $c;
}
