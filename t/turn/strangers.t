#!/usr/bin/perl

# Tests for what strangers get: short answers, few of them, no log lines; and
# that a flood from everywhere leaves nothing behind.  TRP_FLOOD=1000000 is
# the number of its packets.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Socket qw/ AF_INET SOCK_RAW inet_aton pack_sockaddr_in /;
use Time::HiRes qw/ time /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

use constant { RATE => 10 };

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
    log_format turn "$remote_addr";
    access_log %%TESTDIR%%/access.log turn;

    trp_turn_user alice:secret;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_realm example.org;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        trp_turn;
        trp_turn_realm twelve.bytes;
        trp_turn_unauthenticated_rate 3r/s;
    }
}

EOC

$t->run()->plan(29);

my $worker = wait_for(sub { (worker_pids($t))[0] });

# sizes: what a stranger has sent, what comes back; at most 72 bytes, unless
# it has sent a third of that

my @transport = ('requested-transport' => 17);
my @wrong = (username => 'a', realm => 'b');

my @requests = (
    [ 'the smallest', 'allocate', [] ],
    [ 'a usual one', 'allocate', [ @transport ] ],
    [ 'Refresh', 'refresh', [] ],
    [ 'CreatePermission', 'createpermission',
        [ 'xor-peer-address' => '10.0.0.1' ] ],
    [ 'ChannelBind', 'channelbind', [] ],
    [ 'unknown attributes', 'allocate', [ map { ($_ => '') } 1000 .. 1004 ] ],
    [ 'no user', 'refresh', [ 'message-integrity' => 'x' ] ],
);

for my $port (8478, 8480) {
    for my $case (@requests) {
        my ($name, $method, $attrs) = @$case;
        my $c = turn(port => port($port), from => other());
        my $bytes = stun_message($method, $attrs);
        my $r = $c->exchange($bytes);

        ok($r->{class} eq 'error' && ($r->{size} <= 72
            || $r->{size} <= 3 * length $bytes), "$name: size")
            or diag(length($bytes) . " bytes, $r->{code}, $r->{size} bytes");
    }
}

my $c = turn(port => port(8480), from => other());
my $bytes = stun_message('refresh', [ nonce => 'x', @wrong,
    'message-integrity' => 'x' ]);
cmp_ok($c->exchange($bytes)->{size}, '<=', 3 * length $bytes, 'stale nonce');

$c = turn(port => port(8478), from => other());
my $r = $c->call('allocate', [ software => 'x' x 300 ], retry => 0);
cmp_ok($r->{size}, '<=', 300, 'a long request');

# how many answers an address gets

my ($n, $limit) = answers(other(), 8478, 300);
cmp_ok($n, '>=', 1, 'some answers');
cmp_ok($n, '<=', $limit * RATE, 'few answers');

($n, $limit) = answers(other(), 8480, 300);
cmp_ok($n, '<=', $limit * 3, 'fewer answers');

# other ports of the same address are the same stranger; others are not

my $from = other();
answers($from, 8478, 100);
($n, $limit) = answers($from, 8478, 100);
cmp_ok($n, '<=', $limit * RATE, 'another port');
is(turn(port => port(8478), from => other())->call('allocate', [],
    retry => 0)->{code}, 401, 'another address');

# what else that address may do

$c = turn(port => port(8478), from => $from);
is(scalar(grep { $c->binding()->{code} eq '0' } 1 .. 100), 100, 'binding');

$c = turn(port => port(8478), from => $from, user => 'alice',
    password => 'secret');
is($c->allocate()->{code}, 0, 'it authenticates, after a while');
answers($from, 8478, 100);
is(scalar(grep { $c->refresh()->{code} eq '0' } 1 .. 100), 100,
    'who has authenticated');

$c = turn(port => port(8479), from => $from, transport => 'tcp');
is(scalar(grep { $c->call('allocate', [], retry => 0)->{code} eq '401' }
    1 .. 100), 100, 'over TCP');

# a flood

SKIP: {
    socket my $raw, AF_INET, SOCK_RAW, 255
        or skip 'no raw sockets, root has them', 3;

    my $lines = count_log($t, qr/\[(?!debug)/);

    flood($raw, 20_000);
    my $memory = private_memory($worker);
    my $fds = fd_count($worker);

    flood($raw, $ENV{TRP_FLOOD} || 1_000_000);

    is(count_log($t, qr/\[(?!debug)/), $lines, 'no lines in the log');
    is(fd_count($worker), $fds, 'descriptors');

    SKIP: {
        skip 'memory is another under a sanitizer', 1 if $ENV{ASAN_OPTIONS};
        cmp_ok(private_memory($worker) - $memory, '<', 256, 'memory');
    }
}

is($c->refresh(0)->{code}, 401, 'the same worker serves');


# an address that was not used before

my $others;

sub other {
    return '127.0.77.' . ++$others;
}


# Sends so many requests; returns how many answers came, and for how many
# seconds there may be some: one more to begin with.

sub answers {
    my ($from, $port, $count) = @_;
    my $c = turn(port => port($port), from => $from);
    my $start = time();

    for (1 .. $count) {
        $c->write(stun_message('allocate', []));
        $c->binding() if $_ % 20 == 0;
    }

    $c->binding();
    my $n = grep { $_->{method} eq 'allocate' } $c->queue();

    return ($n, 2 + time() - $start);
}


# Packets of all kinds, each from another address of 127.0.0.0/8; from ports
# where no relayed address of another test gets the answers.

sub flood {
    my ($raw, $count) = @_;
    my $c = turn(port => port(8478), from => '127.0.0.1');
    my $to = pack_sockaddr_in(0, inet_aton('127.0.0.1'));

    my @data = (
        stun_message('allocate', [ @transport ]),
        stun_message('allocate', [ @transport, @wrong, nonce => 'x' x 37,
            'message-integrity' => 'x' ]),
        stun_message('allocate', [ @transport, username => time() + 1000,
            realm => 'example.org', nonce => 'x' x 37,
            'message-integrity' => 'x' ]),
        stun_message('binding', []),
        stun_message('refresh', [ 0x7fff => 'x' ]),
        stun_message('send', [ 'xor-peer-address' => '127.0.0.1:1',
            data => 'x' ], class => 'indication'),
        channel_data(0x4000, 'x' x 100),
        "\0\1\0\0garbage",
        '',
    );

    my @tails = map { pack('n n n n', 0, port(8478), 8 + length, 0) . $_ }
        @data;

    for my $i (1 .. $count) {
        my $tail = $tails[$i % @tails];

        # an IPv4 header, a UDP header without a checksum

        send $raw, pack('C2 n3 C2 n N N', 0x45, 0, 20 + length $tail, 0, 0,
            64, 17, 0, 0x7f000000 + int rand 0x1000000, 0x7f000001)
            . pack('n', 1024 + $i % 6000) . substr($tail, 2), 0, $to;

        # the server keeps up, nothing is lost

        $c->binding() if $i % 100 == 0;
    }
}
