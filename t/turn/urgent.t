#!/usr/bin/perl

# Tests for urgent data on TCP connections to peers: they are bytes as all
# others, and what is behind them does not wait for more.

use strict;
use warnings;

use Test::More;

use Socket qw/ MSG_OOB /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(3);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        trp_turn;
    }
}

EOC

$t->run();

my $c = turn(port => port(8478), transport => 'tcp', user => 'alice',
    password => 'secret');
$c->allocate([], protocol => 'tcp');

my $listener = listener(0);
my $r = $c->call('connect', [ 'xor-peer-address' => peer_addr($listener) ]);
my $peer = accepted($listener);
my ($data) = $c->bind_connection($r->{attr}->{'connection-id'});
my $client = $data->socket();

syswrite $client, 'SEE';
is(receive($peer, 3), 'SEE', 'connection');

is(urgent($client, $peer), 'abcUdef.', 'from the client');
is(urgent($peer, $client), 'abcUdef.', 'from the peer');


# all of it is there when the worker reads

sub urgent {
    my ($from, $to) = @_;
    my @workers = worker_pids($t);

    kill 'STOP', @workers;
    send $from, 'abcU', MSG_OOB;
    syswrite $from, 'def.';
    kill 'CONT', @workers;

    return receive($to, 8);
}
