#!/usr/bin/perl

# Tests for workers of a TURN server that are killed: what an older one has had
# is free again soon, without a reload; TCP connections of peers (RFC 6062) end
# with a reset, whichever of their two workers has died, and the peer may be
# connected to again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_return /)
    ->todo_alerts();

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;
worker_shutdown_timeout 60s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_user bob:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478%% reuseport;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp reuseport;
        trp_turn;
        trp_turn_quota user=1;
        trp_turn_ports %%PORT_8477_UDP%%-%%PORT_8477_UDP%%;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        return $trp_turn_allocations;
    }
}

EOC

$t->run()->plan(4 + 2 * 5 + 1);

# of an older generation: quota, port and counters

my $old = client('udp', 'bob');
is($old->allocate()->{code}, 0, 'allocated');

reload_and_wait($t);

is(client('udp', 'bob')->allocate()->{code}, 508, 'by an old worker');
wait_for(sub { allocations() eq '1' });

kill 'KILL', worker_pids($t, qr/shutting down/);

ok(wait_for(sub { allocations() eq '0' }), 'its allocations are gone');

my $new = client('udp', 'bob');
is($new->allocate()->{code}, 0, 'quota and port are free');
$new->refresh(0);

# first the worker of some data connections, then the one of the allocation

for my $kind (qw/ data control /) {
    my ($control, $pid) = control();
    my @joined = grep { defined } map { joined($control, $pid) } 1 .. 40;
    my ($other) = grep { $_ != $pid } worker_pids($t);

    ok(scalar @joined, "$kind: data connections of another worker");

    kill 'KILL', $kind eq 'data' ? $other : $pid;

    is(join(' ', grep { $_ ne 'reset' } map { $_->{data}->end_of() } @joined),
        '', "$kind: resets for the client");
    is(join(' ', grep { $_ ne 'reset' } map { end_of($_->{peer}) } @joined),
        '', "$kind: resets for the peers");

    if ($kind eq 'control') {
        $control = client('tcp', 'alice');
        $control->allocate([], protocol => 'tcp');
    }

    my $code;
    my $to = peer_addr($joined[0]->{listener});

    ok(wait_for(sub {
        $code = $control->call('connect', [ 'xor-peer-address' => $to ])
            ->{code};
        return $code ne '446';
    }), "$kind: no connection is left");
    is($code, 0, "$kind: connected again");

    $control->close();
}

is(count_log($t, qr/\[alert\](?!.* exited on signal 9)/), 0,
    'no other alerts');


# an allocation, and its worker

sub control {
    my $c = client('tcp', 'alice');
    my %fds = map { $_ => fd_count($_) } worker_pids($t);

    $c->allocate([], protocol => 'tcp');

    my ($pid) = grep { fd_count($_) > $fds{$_} } sort keys %fds;
    return ($c, $pid);
}


# a connection to a peer, with bytes both ways, if another worker has it

sub joined {
    my ($control, $pid) = @_;
    my $listener = listener(0);

    my $id = $control->call('connect',
        [ 'xor-peer-address' => peer_addr($listener) ])
        ->{attr}->{'connection-id'};
    my $peer = $listener->accept();

    my $fds = fd_count($pid);
    my ($data, $r) = $control->bind_connection($id);

    $data->write('there and ');
    sysread $peer, my $text, 10;
    syswrite $peer, 'back';
    $data->read_bytes(4);

    # the allocation's worker has not got the client's socket, too

    return if fd_count($pid) > $fds;
    return { data => $data, peer => $peer, listener => $listener };
}


sub allocations {
    return Test::Nginx::Stream->new(PeerAddr => '127.0.0.1:' . port(8480))
        ->read();
}


sub client {
    my ($transport, $user) = @_;

    return turn(port => port($transport eq 'udp' ? 8479 : 8478),
        transport => $transport, user => $user, password => 'secret');
}
