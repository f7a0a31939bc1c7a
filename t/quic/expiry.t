#!/usr/bin/perl

# A key that expires while a QUIC connection lives: its tunnels go on, but there
# are no new ones.  This takes up to a minute, as keys expire at whole minutes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use POSIX qw/ strftime /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICPeer;

my $missing = quic_missing() || quic_peer_missing();
plan(skip_all => $missing) if $missing;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:%%PORT_8444_UDP%% udp reuseport;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_heartbeat 10m;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my ($key) = trp_keys($relay, 'agent');
my $expiry = strftime('%Y%m%d%H%MZ', gmtime(time() + 66));

trp_cert($relay);
$relay->write_file('authorized_keys', "expiry-time=\"$expiry\" $key\n");

$relay->run()->plan(5);

my $agent = Test::Nginx::TRP::QUICPeer->new(port => port(8444, udp => 1));
$agent->wait('ready');

my ($first, $ready) = $agent->login(key => $relay->testdir() . '/agent',
    role => 'reverse');
is($ready->{type}, 'READY', 'before it has expired');
is(another()->{type}, 'READY', 'another tunnel');

my $frame;

for (1 .. 90) {
    $frame = another();
    last if $frame->{type} eq 'ERROR';
    sleep 1;
}

is($frame->{type}, 'ERROR', 'after it has expired');
is(unpack('C', $frame->{payload}), 2, 'not authorized');

$agent->send($first, frame('PING'));
is($agent->next_frame($first)->{type}, 'PONG', 'old tunnels go on');


sub another { return $agent->next_frame($agent->open(frame('PING'))) }
