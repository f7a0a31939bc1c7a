#!/usr/bin/perl

# Tests for ConnectionBind (RFC 6062) in a worker that has no descriptor left:
# it is refused, and what it wanted ends with the allocation.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_return /)->plan(5);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_rlimit_nofile 80;

events {
    worker_connections 512;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478%%;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }

    server {
        listen 127.0.0.1:%%PORT_8479%% proxy_protocol;
        return "";
    }
}

EOC

$t->run();

my @to = (port => port(8478), transport => 'tcp', user => 'alice',
    password => 'secret');

my $control = turn(@to);
is($control->allocate([], protocol => 'tcp')->{code}, 0, 'allocated');

my $listener = listener(0);
my $id = $control->call('connect',
    [ 'xor-peer-address' => peer_addr($listener) ])->{attr}{'connection-id'};
my $peer = $listener->accept();

my $data = turn(@to);
is($data->call('refresh')->{code}, 437, 'has a nonce');

my ($worker) = worker_pids($t);

# these wait for a header

my @idle = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8479)) }
    1 .. 120;
wait_for(sub { fd_count($worker) >= 80 });

isnt($data->call('connectionbind', [ 'connection-id' => $id ])->{code}, 0,
    'refused');
$data->close();

close $_ for splice @idle;
wait_for(sub { fd_count($worker) < 40 });

is($control->call('refresh', [ lifetime => 0 ])->{code}, 0, 'deleted');
$control->close();

is(turn(@to)->call('binding')->{code}, 0, 'the worker is there');
