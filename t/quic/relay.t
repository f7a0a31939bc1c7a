#!/usr/bin/perl

# Tunnels on the streams of a QUIC connection: the first one authenticates it,
# the later ones begin with READY; streams of users go over them as on TLS.

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
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:8443 ssl;
        listen 127.0.0.1:%%PORT_8444_UDP%% udp reuseport;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_limit_key tunnels=4;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my ($key) = trp_keys($relay, 'agent');
my $file = $relay->testdir() . '/agent';

trp_cert($relay);
$relay->write_file('authorized_keys', "$key\n");

$relay->run()->plan(14);

my $port = port(8444, udp => 1);

# an entry on QUIC, a reverse on QUIC, and one on TLS

my $reverse = Test::Nginx::TRP::QUICPeer->new(port => $port);
ok($reverse->wait('ready'), 'handshake');

my ($r1, $ready) = $reverse->login(key => $file, role => 'reverse');
is($ready->{type}, 'READY', 'first stream: READY after AUTH');

my $r2 = $reverse->open(frame('PING'));
is($reverse->next_frame($r2)->{type}, 'READY', 'second stream: READY at once');

my $entry = Test::Nginx::TRP::QUICPeer->new(port => $port);
my ($e1, $also) = $entry->login(key => $file, role => 'entry');
is($also->{type}, 'READY', 'entry');

my $e2 = $entry->open(frame('PING'));
is($entry->next_frame($e2)->{type}, 'READY', 'entry, second stream');

# a user

$entry->send($e1, frame('OPEN', Test::Nginx::TRP::Client::open_payload(port => 80)) . frame('DATA', 'hello'));

my ($open, $r);

for $r ($r2, $r1) {
    $open = $reverse->next_frame($r, timeout => 3) or next;
    $r1 = $r;
    last;
}

is($open && $open->{type}, 'OPEN', 'user comes to the reverse');

$reverse->send($r1, frame('ACCEPT') . frame('DATA', 'welcome'));
is($reverse->next_frame($r1)->{payload}, 'hello', 'early bytes');
is($entry->next_frame($e1)->{type}, 'ACCEPT', 'accepted');
is($entry->next_frame($e1)->{payload}, 'welcome', 'answer');

# a limit concerns one stream

my $fifth = $reverse->open(frame('PING'));
my $error = $reverse->next_frame($fifth);
is($error->{type}, 'ERROR', 'one tunnel too many');
is(unpack('C', $error->{payload}), 9, 'over the limit');

$entry->send($e1, frame('DATA', 'more'));
is($reverse->next_frame($r1)->{payload}, 'more', 'others go on');

# the end of a tunnel, and of a connection

$entry->send($e1, '', end => 1);
is($reverse->next_frame($r1)->{type}, 'RESET', 'tunnel is lost');

$entry->end();

like($relay->read_file('error.log'), qr/has a tunnel in group "0"/, 'log');
