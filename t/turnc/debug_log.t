#!/usr/bin/perl

# "error_log ... debug" tells the story of a client of a TURN server: the lines
# with the number of a user's connection have how a connection to its peer is
# made, those with the number of the allocation each request and each answer, in
# the order in which they happen, and no password.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::MD5 qw/ md5_hex /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $turn = Test::Nginx->new()->has(qw/ stream udp --with-debug /);
my $entry = Test::Nginx->new();

$turn->write_file_expand('nginx.conf', <<'EOC');

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
    trp_turn_deny 127.0.0.66;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        trp_turn;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream user {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:password-of-alice;
    }

    upstream secret {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_secret secret-of-north bob;
    }

    upstream wrong {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:wrong-password;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass user;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_pass secret;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        proxy_pass wrong;
    }
}

EOC

serve($entry, port(8090), 'echo');

my $peer = turn_peer();
$entry->run_daemon(\&echo_datagrams, $peer);

$turn->run();
$entry->run()->plan(11 + 2);

# a connection: that of the user, and its allocation

my $to = '127.0.0.1:' . port(8090);
my $c = socks(port(8080), $to);
my $client = number($c);

$c->echo('data-of-alice');
$c->close();

# its two connections are there in any order

is(story($entry, $client, qr/socks5 request: command 1, /,
    qr/connecting to peer, allocation \*\d+/,
    qr/peer connected, connection \d+/,
    qr/connection bind sent, connection \d+/, qr/connection bind answered$/,
    qr/connection to peer is there/, qr/socks5 reply: 0 /), 'all',
    'connection');
is(story($entry, $client, qr/connecting to peer/, qr/data connection is there/,
    qr/connection bind sent/), 'all', 'its data connection');

my $allocation = allocation($client);
my $user = qr/peer 127\.0\.0\.1, port ${\port(8090)}/;

is(story($entry, $allocation, qr/allocation for TCP$/,
    qr/user attached, $user, 1 now/, qr/allocate sent/,
    qr/allocate answered, error 401/, qr/allocate sent/, qr/allocate answered$/,
    qr/connect sent/, qr/connect answered$/, qr/peer connected, connection \d+/,
    qr/user detached, $user, 0 now/, qr/allocation has no user/), 'all',
    'its allocation');

my ($id) = $entry->read_file('error.log')
    =~ /$client.*connection bind sent, connection (\d+)/;
ok(wait_log($turn, qr/Connect success, connection:$id$/),
    'the number of the server');

# peers that cannot be reached

$c = socks(port(8080), '127.0.0.1:' . port(8099));
$client = number($c);

is(story($entry, $client, qr/connecting to peer, allocation/,
    qr/peer refused, 447/, qr/no connection to peer: /, qr/reply: 5 /), 'all',
    'refused');
is(story($entry, $allocation, qr/connect answered, error 447/), 'all',
    'refused, the allocation');

$c = socks(port(8080), '127.0.0.66:80');
is(story($entry, number($c), qr/peer refused, 403/,
    qr/no connection to peer: not allowed/, qr/reply: 2 /), 'all', 'denied');

# datagrams

my $u = socks_udp(port(8081));
$client = number($u);
$u->ask(peer_addr($peer), 'data-of-bob');
$u->close();

my ($port) = peer_addr($peer) =~ /:(\d+)$/;
$user = qr/peer 127\.0\.0\.1, port $port/;

is(story($entry, $client, qr/request: command 3, /, qr/association: port /,
    qr/destination "127\.0\.0\.1", port $port, is added/,
    qr/destination, port $port, has allocation \*\d+/, qr/association is over/,
    qr/is forgotten/), 'all', 'datagrams');
is(story($entry, allocation($client), qr/allocation for UDP$/,
    qr/user attached, $user, 1 now/, qr/allocate answered, error 401/,
    qr/allocate sent/, qr/allocate answered$/, qr/channel bind sent/,
    qr/channel bind answered$/, qr/user detached, $user, 0 now/), 'all',
    'datagrams, the allocation');

# a wrong password

$c = socks(port(8082), $to);
is(story($entry, number($c), qr/request: command 1, /,
    qr/no connection to peer: /, qr/reply: 1 /), 'all', 'wrong password');

my ($name) = $turn->read_file('error.log') =~ /user:"(\d+:bob)"/;
my $password = stun_rest('secret-of-north', $name);
my $secret = join '|', map { quotemeta } 'password', 'secret', 'data-of',
    $password, map { md5_hex($_) } 'alice:example.org:password-of-alice',
    "$name:example.org:$password";

is(count_log($entry, qr/\[debug\].* trp .*(?:$secret)/), 0, 'nothing secret');


# the connection of a client, as the lines have it

sub number {
    my ($c) = @_;
    my $from = '127.0.0.1:' . $c->socket()->sockport();
    my $number = wait_for(sub {
        $entry->read_file('error.log') =~ /\*(\d+) client \Q$from\E connected/
            ? $1 : 0;
    });

    return qr/: \*$number /;
}


# the allocation that a client uses

sub allocation {
    my ($client) = @_;
    my ($number) = $entry->read_file('error.log')
        =~ /$client.* allocation \*(\d+)/;

    return qr/: \*$number /;
}
