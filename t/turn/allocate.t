#!/usr/bin/perl

# Tests for Allocate: answers, errors, lifetimes, ports, and how allocations
# end.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
    log_format turn "$protocol $remote_addr $remote_port $trp_turn_end";
    access_log %%TESTDIR%%/access.log turn;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        listen 127.0.0.1:%%PORT_8480%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp;
        trp_turn;
        trp_turn_ports %%PORT_8482_UDP%%-%%PORT_8482_UDP%%;
    }

    server {
        listen 127.0.0.1:%%PORT_8483_UDP%% udp;
        trp_turn;
        trp_turn_lifetime 1s;
        trp_turn_max_lifetime 1000s;
    }
}

EOC

trp_cert($t);
$t->run()->plan(49);

# an answer

my $c = client();
my $r = $c->allocate();

is($r->{code}, 0, 'allocated');
is($r->{signed}, 'sha1', 'integrity');
like($c->relayed(), qr/^127\.0\.0\.1:\d+$/, 'relayed address');
is($r->{attr}->{'xor-mapped-address'}, $c->addr(), 'mapped address');
is($r->{attr}->{lifetime}, 600, 'lifetime');
is($r->{fingerprint}, undef, 'no fingerprint');
ok(!defined $r->{attr}->{software}, 'no software');
ok(!defined $r->{attr}->{'reservation-token'}, 'no token');

my ($port) = $c->relayed() =~ /:(\d+)$/;
ok($port >= 49152 && $port <= 65535, 'port');

is($c->allocate()->{code}, 437, 'a second one');
is($c->refresh(0)->{code}, 0, 'deleted');
is($c->allocate()->{code}, 0, 'and again');

# each client has its own, at random

my @all = map { client() } 1 .. 20;
my %relayed = map { $_->allocate(); $_->relayed() => 1 } @all;
my @sorted = sort keys %relayed;

is(@sorted, 20, 'different ports');
isnt(join(' ', @sorted), join(' ', map { $_->relayed() } @all), 'random');
is(scalar(grep { (split /:/)[1] < 49152 } @sorted), 0, 'within the range');

# on other connections

for my $transport (qw/ tcp tls /) {
    $c = client($transport);
    $r = $c->allocate([], fingerprint => 1);
    is($r->{code}, 0, "$transport: allocated");
    is($r->{fingerprint}, 1, "$transport: fingerprint");

    my $own = (split /:/, $c->addr())[1];
    $c->close();
    ok(wait_log($t, qr/^TCP 127.0.0.1 $own ./, file => 'access.log'),
        "$transport: ends with its connection");
}

# errors

is(error([]), 400, 'no transport');
is(error([ 'requested-transport' => \"\x11" ]), 400, 'short transport');
is(error([ 'requested-transport' => \("\x11" . "\0" x 7) ]), 400,
    'long transport');
is(error([ 'requested-transport' => 6 ]), 442, 'TCP');
is(error([ 'requested-transport' => 0 ]), 442, 'no protocol');
is(error([ 'requested-transport' => 132 ]), 442, 'another protocol');
is(error([ 'requested-transport' => 17, lifetime => \'ab' ]), 400,
    'short lifetime');
is(error([ 'requested-transport' => 17, lifetime => \'abcdefgh' ]), 400,
    'long lifetime');
is(error([ 'requested-transport' => 17, 'even-port' => \'' ]), 400,
    'empty even port');
is(error([ 'requested-transport' => 17, 'reservation-token' => \'abc' ]),
    400, 'short token');
is(error([ 'requested-transport' => 17, 'requested-address-family' =>
    \"\1" ]), 400, 'short family');
is(error([ '0x7fff' => '' ]), 420, 'unknown attribute');

$c = client();
$r = $c->call('allocate', [ 'requested-transport' => 6 ], fingerprint => 1);
is("$r->{signed} $r->{fingerprint}", 'sha1 1', 'an error is signed');
is($c->allocate()->{code}, 0, 'after an error');

# lifetimes: not below the default, not above the maximum

my %lifetimes = (0 => 600, 1 => 600, 600 => 600, 601 => 601, 3600 => 3600,
    3601 => 3600, 0xffffffff => 3600);

for my $lifetime (sort { $a <=> $b } keys %lifetimes) {
    $c = client();
    is($c->allocate([ lifetime => $lifetime ])->{attr}->{lifetime},
        $lifetimes{$lifetime}, "lifetime $lifetime");
}

# one port

my $first = client('one');
is($first->allocate()->{code}, 0, 'the only port');
is($first->relayed(), '127.0.0.1:' . port(8482), 'that one');
is(client('one')->allocate()->{code}, 508, 'no port is left');
$first->refresh(0);
is(client('one')->allocate()->{code}, 0, 'it is given back');

# the end of an allocation

$c = client('short');
is($c->allocate()->{attr}->{lifetime}, 1, 'a short lifetime');
my $own = (split /:/, $c->addr())[1];
ok(wait_log($t, qr/^UDP 127.0.0.1 $own ./, file => 'access.log'), 'expired');
is($c->refresh()->{code}, 437, 'it is no more');


sub error {
    my ($attrs) = @_;
    return client()->call('allocate', $attrs)->{code};
}


sub client {
    my ($what) = @_;
    my %ports = (tcp => 8479, tls => 8480, one => 8481, short => 8483);

    return turn(
        port => port($what ? $ports{$what} : 8478),
        transport => $what && $what =~ /^t/ ? $what : 'udp',
        user => 'alice',
        password => 'secret',
    );
}
