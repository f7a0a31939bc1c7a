#!/usr/bin/perl

# Tests for a flood of Initials from many addresses: connections without AUTH
# are bounded, agents go on, and memory comes back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICPeer;

my $missing = quic_missing() || quic_peer_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

quic_relay_conf($t, relay => 'trp_relay_max_unauthenticated 100;'
    . ' trp_relay_auth_timeout 2s;');

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));

my $n = $ENV{TRP_FLOOD} || 5000;

$t->run()->plan(8);

my %auth = (key => $t->testdir() . '/any', group => 'lab');
my $worker = wait_for(sub { (worker_pids($t))[0] });

my $good = peer();
my ($first) = $good->login(%auth, role => 'entry');

# few real ones, as they take time to make; other ids make them others

my @hellos = map { client_hello(scid => "from$_") } 0 .. 9;

flood($n);
ok(echo(), 'an agent during a flood');
ok(settled(), 'it is over');

my $memory = private_memory($worker);
my $fds = fd_count($worker);

flood($n);

my $new = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1));
ok($new->wait('ready'), 'a new connection, by Retry');
is(($new->login(%auth, role => 'reverse'))[1]->{type}, 'READY', 'a new agent');

ok(settled(), 'over again');

SKIP: {
    skip 'memory is not given back under a sanitizer', 1 if $ENV{ASAN_OPTIONS};

    cmp_ok(private_memory($worker) - $memory, '<', 8192, 'memory');
}

cmp_ok(fd_count($worker), '<=', $fds + 4, 'descriptors');
ok(echo(), 'the agent is still there');


sub flood {
    my ($n) = @_;
    my @sockets = map { quic_socket(LocalAddr => "127.0.1.$_") } 1 .. 20;

    for my $i (1 .. $n) {
        my $s = $sockets[$i % @sockets];
        my $k = $i % @hellos;

        $s->send(initial_packet(pack('A8 N', 'flooding', rand 1 << 32),
            "from$k", crypto_frame($hellos[$k])));

        next if $i % 100;

        for my $s (@sockets) {
            $s->recv(my $got, 65536) while IO::Select->new($s)->can_read(0);
        }
    }
}


sub echo {
    $good->send($first, frame('PING'));
    return ($good->next_frame($first) || { type => '' })->{type} eq 'PONG';
}


# connections that were not finished are gone

sub settled {
    my $last = 0;

    return wait_for(sub {
        my $now = private_memory($worker);
        my $same = $now == $last;

        $last = $now;
        select undef, undef, undef, 1;
        return $same;
    });
}


sub peer {
    my $c = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1));

    $c->wait('ready') or die "no connection\n";
    return $c;
}
