#!/usr/bin/perl

# Unauthenticated QUIC connections at a relay: "deny" holds for them, they are
# limited for each address, and have a deadline.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICPeer;

my $missing = quic_missing() || quic_peer_missing();
plan(skip_all => $missing) if $missing;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_access socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    ssl_protocols TLSv1.3;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    trp_authorized_keys authorized_keys;
    trp_relay_auth_timeout 8s;

    log_format combined "$status $protocol $remote_addr";
    access_log %%TESTDIR%%/access.log combined;

    server {
        listen 127.0.0.1:%%PORT_8444_UDP%% udp reuseport;
        trp_relay;
        trp_relay_max_unauthenticated 16;
        trp_relay_max_per_address 3;
    }

    server {
        listen 127.0.0.1:%%PORT_8445_UDP%% udp reuseport;
        trp_relay;
        deny 127.0.0.1;
    }
}

EOC

my ($key) = trp_keys($relay, 'agent');
my $file = $relay->testdir() . '/agent';

trp_cert($relay);
$relay->write_file('authorized_keys', "$key\n");

$relay->run()->plan(8);

my $port = port(8444, udp => 1);

# denied: no connection, and a line in the log of nginx

my $denied = Test::Nginx::TRP::QUICPeer->new(port => port(8445, udp => 1));
my $closed = $denied->wait('closed');
is($closed->{code}, 2, 'denied: CONNECTION_REFUSED');
like($relay->read_file('access.log'), qr/^403 UDP 127\.0\.0\.1$/m, 'logged');

# three are the most from an address: the oldest one gives way

my @guests = map { guest() } 1 .. 3;
is(scalar(grep { $_->wait('ready') } @guests), 3, 'three guests');

# one that has just come does not give way: the newcomer tries again

my $fourth;

for (1 .. 50) {
    $fourth = guest();
    last if $fourth->wait('ready', timeout => 0.5);
}

ok($guests[0]->wait('closed'), 'the oldest gives way');

# those that authenticate do not count

my ($id, $ready) = $fourth->login(key => $file);
is($ready->{type}, 'READY', 'the fourth authenticates');

# the deadline

ok($guests[1]->wait('closed'), 'another one is closed');
like($relay->read_file('error.log'), qr/too many from its address are not/,
    'too many, in the log');
like($relay->read_file('error.log'), qr/client did not authenticate in time/,
    'deadline, in the log');


sub guest { return Test::Nginx::TRP::QUICPeer->new(port => $port) }
