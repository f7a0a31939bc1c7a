#!/usr/bin/perl

# Tests for streams that a peer may not open, and for more bytes than it may
# send: the connection is closed, and others go on.

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
$t->run()->plan(20);

my %auth = (key => $t->testdir() . '/any', group => 'lab');
my $good = peer();
my ($first) = $good->login(%auth, role => 'entry');

# before AUTH

my $c = peer();
$c->open(frame('PING'));
$c->open(frame('PING'), force => 1);
closed($c, 4, 'a second stream before AUTH');

$c = peer();
$c->open(frame('PING'), uni => 1, force => 1);
closed($c, 4, 'a unidirectional stream');

$c = peer();
my $id = $c->open(frame('PING'));
$c->send($id, 'x' x 1000, times => 4000, force => 1);
closed($c, undef, 'four megabytes before AUTH');

# frames that may not be there

for my $name ('OPEN before AUTH', 'DATA before AUTH', 'READY from an agent') {
    my ($type) = $name =~ /(\w+)/;

    $c = peer();
    $id = $c->open(frame('PING'));
    $c->send($id, frame($type, $type eq 'READY' ? 'xxx'
        : $type eq 'OPEN' ? open_payload(port => 80) : 'x'));
    closed($c, undef, $name);
}

$c = peer();
$c->open(frame('DATA', 'x'));
closed($c, undef, 'a stream that does not begin with PING');

$c = peer();
$c->open("GET / HTTP/1.0\r\n\r\n");
closed($c, undef, 'text');

$c = peer();
$c->open('', end => 1);
ok($c->wait('closed', timeout => 30), 'an empty stream');

# after AUTH: what breaks a tunnel ends that tunnel

$c = peer();
$c->login(%auth, role => 'entry', name => 'bad');
my @ids = map { $c->open(frame('PING')) } 1 .. 3;
is($c->next_frame($_)->{type}, 'READY', 'a tunnel') for @ids;

$c->send($ids[1], frame('END'));
my $last = $c->next_frame($ids[1]);
ok(!$last || $last->{type} eq 'ERROR', 'END without OPEN ends the tunnel');

$c->send($ids[2], frame('PING'));
is($c->next_frame($ids[2])->{type}, 'PONG', 'not another one');

# more bytes than the window

$c->send($ids[0], frame('OPEN', open_payload(port => 80)));
$c->send($ids[0], frame('DATA', 'x' x 16000), times => 1000, force => 1);
closed($c, undef, 'more bytes than the window');

# many more streams than the relay allows

$c = peer();
$c->login(%auth, role => 'entry', name => 'many');
$c->command('streams');
my $limit = $c->wait('streams')->{n};
cmp_ok($limit, '>', 1, "more than one stream after READY: $limit");
$c->open(frame('PING'), force => 1) for 1 .. ($limit < 3000 ? $limit + 10 : 10);
ok($limit >= 3000 || $c->wait('closed'), 'too many streams');

# a wrong protocol

$c = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1),
    alpn => [ 'h3' ]);
closed($c, 0x178, 'another ALPN protocol');

# nobody else has noticed

$good->send($first, frame('PING'));
is($good->next_frame($first)->{type}, 'PONG', 'others go on');
is(count_log($t, qr/\[(?:crit|alert|emerg)\]/), 0, 'no alerts');


sub peer {
    my $c = Test::Nginx::TRP::QUICPeer->new(port => port(8443, udp => 1));

    $c->wait('ready') or die "no connection\n";
    return $c;
}


# closed by the relay, with this code if it matters

sub closed {
    my ($c, $code, $name) = @_;
    my $e = $c->wait('closed');

    defined $code && $e ? is($e->{code}, $code, $name) : ok($e, $name);
    $c->end();
}
