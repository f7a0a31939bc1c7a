#!/usr/bin/perl

# QUIC at a relay with several workers: by the hint in its first id an agent
# gets to the worker of its group, whichever worker reads the socket; a reload
# leaves the old worker its connections, and what is new goes to the new ones.

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
worker_processes 3;

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
my $slot = slot_of('0');

# with the hint

my $reverse = peer($slot);
my ($r, $ready) = $reverse->login(key => $file, role => 'reverse');
is($ready->{type}, 'READY', 'reverse with the hint');

my @others = map { peer($slot) } 1 .. 5;
my @logins = map { [ $_->login(key => $file) ] } @others;
my @types = map { $_->[1]{type} } @logins;
is("@types", join(' ', ('READY') x 5), 'others, from any port');

# without: the answer is MOVED if it is the wrong worker

@types = map { (peer()->login(key => $file))[1]{type} } 1 .. 10;
like("@types", qr/^(?:(?:READY|MOVED) ?){10}$/, 'without the hint');
like("@types", qr/MOVED/, 'MOVED');

# a stream through the old worker

my $entry = peer($slot);
my ($e) = $entry->login(key => $file);
stream($entry, $e, $reverse, $r, 'before');

my $pids = workers();
$relay->reload();
until_true(sub { workers() ne $pids }) or diag('no new workers');

for my $n (1 .. 20) {
    $entry->send($e, frame('DATA', "up $n"));
    $reverse->send($r, frame('DATA', "down $n"));
}

my @up = map { $reverse->next_frame($r)->{payload} } 1 .. 20;
my @down = map { $entry->next_frame($e)->{payload} } 1 .. 20;
is("@up", join(' ', map { "up $_" } 1 .. 20), 'old stream, up');
is("@down", join(' ', map { "down $_" } 1 .. 20), 'old stream, down');

# a new tunnel on the old connection

my $more = $reverse->open(frame('PING'));
is($reverse->next_frame($more)->{type}, 'READY', 'old connection, new stream');
is($reverse->next_frame($more)->{type}, 'DRAIN', 'and DRAIN');

# an idle one, and a new connection

is($others[0]->next_frame($logins[0][0])->{type}, 'DRAIN', 'idle one');

my $new = peer($slot);
my ($n, $again) = $new->login(key => $file, role => 'reverse');
is($again->{type}, 'READY', 'new connection');

my $user = peer($slot);
my ($u) = $user->login(key => $file);
stream($user, $u, $new, $n, 'after');


sub peer {
    my ($hint) = @_;
    my $random = join '', map { sprintf '%02x', int rand 256 } 1 .. 12;

    return Test::Nginx::TRP::QUICPeer->new(port => $port,
        dcid => unpack('H*', 'trp' . chr($hint // 0xff)) . $random);
}


sub stream {
    my ($entry, $e, $reverse, $r, $name) = @_;
    my $open = Test::Nginx::TRP::Client::open_payload(port => 80);

    $entry->send($e, frame('OPEN', $open) . frame('DATA', $name));
    is(($reverse->next_frame($r) || {})->{type}, 'OPEN', "$name: OPEN");
    is(($reverse->next_frame($r) || {})->{payload}, $name, "$name: data");
    $reverse->send($r, frame('ACCEPT'));
    $entry->next_frame($e);
}


sub workers {
    my $master = $relay->read_file('nginx.pid') + 0;
    my @pids = split ' ', `ps -o pid= --ppid $master`;
    return join ' ', sort { $a <=> $b } @pids;
}


sub until_true {
    my ($ready) = @_;

    for (1 .. 200) {
        return 1 if $ready->();
        select undef, undef, undef, 0.05;
    }

    return;
}
