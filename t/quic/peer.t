#!/usr/bin/perl

# Tests for a peer that is not of this project: it logs in over QUIC as
# docs/protocol.md says, and its later streams are tunnels without a login.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::QUICPeer;

my $missing = quic_missing() || quic_peer_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

quic_relay_conf($t);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
$t->run()->plan(12);

my %auth = (key => $t->testdir() . '/any', group => 'lab');

my $reverse = peer();
my ($id, $ready) = $reverse->login(%auth, role => 'reverse', name => 'back');

is($id, 0, 'the first stream');
is($ready->{type}, 'READY', 'login');

my $entry = peer();
my ($user, $first) = $entry->login(%auth, role => 'entry', name => 'front');

is($first->{type}, 'READY', 'another one');

# later streams: no HELLO

my @more = map { $entry->open(frame('PING')) } 1 .. 3;

is_deeply(\@more, [ 4, 8, 12 ], 'more streams');
is($entry->next_frame($_)->{type}, 'READY', "stream $_") for @more;

my $frame;
my @later = map { $reverse->open(frame('PING')) } 1 .. 3;
$reverse->next_frame($_) for @later;

# streams of users, on a later tunnel

$entry->send($more[1], frame('OPEN', open_payload(port => 80)));

my ($tunnel) = grep { $frame = $reverse->next_frame($_, timeout => 2) }
    $id, @later;

is($frame && $frame->{type}, 'OPEN', 'OPEN');

$reverse->send($tunnel, frame('ACCEPT') . frame('DATA', 'hello'));
is($entry->next_frame($more[1])->{type}, 'ACCEPT', 'ACCEPT');
is($entry->next_frame($more[1])->{payload}, 'hello', 'DATA');

# the others of the connection do not notice

$reverse->command('reset', id => $tunnel);
is(($entry->next_frame($more[1]) || {})->{type}, 'RESET', 'one is lost');

$entry->send($user, frame('PING'));
is($entry->next_frame($user)->{type}, 'PONG', 'the others go on');

$entry->end();
$reverse->end();


sub peer {
    my $c = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1));

    $c->wait('ready') or die "no connection\n";
    return $c;
}
