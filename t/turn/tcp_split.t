#!/usr/bin/perl

# Tests for a ConnectionBind (RFC 6062) that comes in two pieces: the peer gets
# what the client sends behind it, and nothing of the request.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }


use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(4);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

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

my ($request) = $data->request('connectionbind', [ 'connection-id' => $id ]);
$request = $request->{raw} if ref $request;

# the first piece has been read when another client has its answer

$data->write(substr $request, 0, 60);
turn(@to)->call('binding');
$data->write(substr $request, 60);

is($data->read(5)->{class}, 'success', 'bound');

$data->write("hello\n");
is(scalar <$peer>, "hello\n", 'nothing but data');

$control->call('refresh', [ lifetime => 0 ]);
