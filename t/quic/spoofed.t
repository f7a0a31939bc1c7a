#!/usr/bin/perl

# Tests for packets of a connection that come from an address which is not the
# agent's: the relay asks there, sends it little, and stays with the agent.  An
# agent that has moved is followed.

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
my ($back) = $reverse->login(%auth, role => 'reverse');
my $entry = peer();
my ($front) = $entry->login(%auth, role => 'entry');

$entry->send($front, frame('OPEN', open_payload(port => 80)));
is($reverse->next_frame($back)->{type}, 'OPEN', 'a stream');
$reverse->send($back, frame('ACCEPT'));
is($entry->next_frame($front)->{type}, 'ACCEPT', 'accepted');

# a copy of a packet, which has come already

$entry->command('replay', bind => '127.0.0.9');
select undef, undef, undef, 0.5;
passes('after a copy');
cmp_ok(spoofed(), '<=', 3 * 1500, 'little for who sent it');

# packets that are good, and have not come before; much is to be sent then

$entry->command('spoof', bind => '127.0.0.9', packets => 1);
$entry->send($front, frame('DATA', 'x'));
is($reverse->next_frame($back)->{payload}, 'x', 'a packet from elsewhere');

$reverse->send($back, frame('DATA', 'y' x 10000), times => 50);
select undef, undef, undef, 1;
my $sent = spoofed();
cmp_ok($sent, '<=', 3 * 1500, "little is sent there: $sent");

$entry->send($front, frame('DATA', 'z'));
is($reverse->next_frame($back)->{payload}, 'z', 'the agent is still there');
is(scalar(grep { ($entry->next_frame($front) || { payload => '' })->{payload}
    eq 'y' x 10000 } 1 .. 50), 50, 'and gets all');

# another address of the agent itself: a NAT has forgotten it

$entry->command('rebind', bind => '127.0.0.11');
passes('rebound');
$entry->command('cid');
$entry->command('rebind', bind => '127.0.0.12');
passes('moved, with another id');

is(count_log($t, qr/\[(?:crit|alert|emerg)\]/), 0, 'no alerts');
ok(!$entry->wait('closed', timeout => 0.1), 'the same connection');


sub passes {
    my ($name) = @_;
    my $text = "is it there $name?";

    $entry->send($front, frame('DATA', $text));
    my $one = ($reverse->next_frame($back) || { payload => '' })->{payload};
    $reverse->send($back, frame('DATA', $text));
    my $two = ($entry->next_frame($front) || { payload => '' })->{payload};

    is("$one $two", "$text $text", $name);
}


sub spoofed {
    $entry->command('spoofed');
    return $entry->wait('spoofed')->{bytes};
}


sub peer {
    my $c = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1));

    $c->wait('ready') or die "no connection\n";
    return $c;
}
