#!/usr/bin/perl

# "error_log ... debug" tells the story of a client of the TURN server: the
# lines with its address have each request, each answer and what becomes of its
# allocation and connections, in the order in which they happen, and no
# password.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::MD5 qw/ md5_hex /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream udp --with-debug /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    trp_turn_realm example.org;
    trp_turn_user alice:password-of-alice;
    trp_turn_secret secret-of-north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
    }
}

EOC

$t->run()->plan(8);

# datagrams

my $peer = turn_peer();
my $to = peer_addr($peer);
my $c = client('udp', user => 'alice', password => 'password-of-alice');
my $client = address($c);

$c->binding();
$c->allocate();
$c->allocate([], id => 'x' x 12);
$c->permit('127.0.0.1', '127.0.0.2');
$c->permit('10.0.0.1');
$c->bind_channel(0x4000, $to);
$c->send_channel(0x4000, 'data-of-alice');
peer_read($peer);
$c->refresh(900);
$c->refresh(0);

my ($port) = $c->relayed() =~ /:(\d+)$/;
my $allocation = qr/allocation of UDP port $port IPv4/;

is(story($t, $client, qr/Binding request over UDP/, qr/Binding success/,
    qr/Allocate request over UDP$/, qr/Allocate error, code:401/,
    qr/Allocate request over UDP, user:"alice"/, qr/$allocation is to begin/,
    qr/Allocate success, lifetime:\d+/, qr/Allocate error, code:437/,
    qr/CreatePermission request .*, peer:127\.0\.0\.1:0, peer:127\.0\.0\.2:0/,
    qr/CreatePermission success/, qr/CreatePermission request .*, peer:10\./,
    qr/CreatePermission error, code:403/,
    qr/ChannelBind request .*, channel:0x4000, peer:\Q$to\E/,
    qr/ChannelBind success/, qr/Refresh request .*, lifetime:900/,
    qr/Refresh success, lifetime:900/, qr/Refresh request .*, lifetime:0/,
    qr/$allocation is deleted/, qr/Refresh success/,
    qr/$allocation is freed/), 'all', 'datagrams');

# a connection to a peer that the client asks for

my $listener = listener(0);
my $name = time() + 1000 . ':bob';
my $password = stun_rest('secret-of-north', $name);

$to = peer_addr($listener);
$c = client('tcp', user => $name, password => $password);
$client = address($c);

$c->allocate([], protocol => 'tcp');
my $id = $c->call('connect', [ 'xor-peer-address' => $to ])->{attr}
    ->{'connection-id'};
my ($data) = $c->bind_connection($id);
my $second = address($data);

$data->write('data-of-bob');
$data->close();
end_of($listener->accept());

is(story($t, $second, qr/client over TCP begins/,
    qr/ConnectionBind request over TCP, .*, connection:$id$/,
    qr/to be attached to connection $id$/, qr/gets connection $id$/,
    qr/ConnectionBind success/, qr/is detached from connection $id$/), 'all',
    'data connection');

is(story($t, $client, qr/client over TCP begins/,
    qr/Allocate error, code:401/,
    qr/Allocate request over TCP, user:"\Q$name\E"/,
    qr/allocation of TCP port \d+ IPv4 is to begin/, qr/Allocate success/,
    qr/Connect request over TCP, .*, peer:\Q$to\E/,
    qr/connection $id with peer \Q$to\E begins/,
    qr/connection $id is established/, qr/Connect success, connection:$id$/,
    qr/connection $id with peer \Q$to\E ends/), 'all', 'connection');

$c->close();

is(story($t, $client, qr/client ends/,
    qr/allocation of TCP .* ends with its connection/,
    qr/allocation of TCP .* is freed/), 'all', 'end');

# one that comes from a peer; one that fails

my $coming = client('tcp', user => $name, password => $password);

$coming->allocate([], protocol => 'tcp');
$coming->permit('127.0.0.1');
my ($at) = $coming->relayed() =~ /:(\d+)$/;
my $s = connect_to($at);
$to = '127.0.0.1:' . $s->sockport();
$id = $coming->expect('connectionattempt')->{attr}->{'connection-id'};

is(story($t, address($coming),
    qr/connection $id from peer \Q$to\E is accepted/,
    qr/ConnectionAttempt indication, connection:$id, peer:\Q$to\E/), 'all',
    'connection from a peer');

$coming->call('connect',
    [ 'xor-peer-address' => '127.0.0.1:' . port(8099) ]);

is(story($t, address($coming), qr/Connect request/,
    qr/connection \d+ with peer .* begins/, qr/connection \d+ has failed/,
    qr/Connect error, code:447/), 'all', 'refused');

# a wrong password

$c = client('udp', user => 'alice', password => 'wrong-password');
$c->allocate();

is(story($t, address($c), qr/Allocate error, code:401/,
    qr/Allocate request .*, user:"alice"/, qr/Allocate error, code:401/),
    'all', 'wrong password');

my $secret = join '|', map { quotemeta } 'password', 'secret', 'data-of',
    $password, map { md5_hex($_) } 'alice:example.org:password-of-alice',
    "$name:example.org:$password";

is(count_log($t, qr/\[debug\].* trp .*(?:$secret)/), 0, 'nothing secret');


sub client {
    my ($transport, %opts) = @_;

    return turn(transport => $transport, port => $transport eq 'udp'
        ? port(8478, udp => 1) : port(8479), %opts);
}


# how its lines begin

sub address {
    my ($c) = @_;
    return qr/ trp turn \Q${\$c->addr()}\E: /;
}
