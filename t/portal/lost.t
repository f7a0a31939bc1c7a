#!/usr/bin/perl

# Tests for a portal that goes away and comes back: the TURN server goes on
# meanwhile, and joins again as the same relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_portal ws://localhost:%%PORT_8081%%;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081));

$t->run()->plan(33);

ok(wait_log($t, qr/portal sent "init"/), 'init');

my $secret = $portal->secret();
my $c = client($portal);

is(talk($c), 'there back', 'an allocation');

# all the ways in which a connection ends; the next one comes by itself

my %ends = (
    'connection closed' => sub { $portal->drop() },
    'WebSocket closed' => sub { $portal->close(1000) },
    'service restart' => sub { $portal->close(1012) },
    'channel closed' => sub { $portal->event('phx_close') },
    'reserved bits' => sub { $portal->raw("\xf1\x01x") },
    'masked' => sub { $portal->raw("\x81\x81aaaa\0") },
    'too large' => sub { $portal->raw("\x81\x7f" . "\x01" x 8 . 'x') },
    'no UTF-8' => sub { $portal->raw("\x81\x02\xff\xff") },
);
my $n = 1;

for my $end (sort keys %ends) {
    $ends{$end}->();
    $n++;
    ok($portal->wait(qr/^$n text .*phx_join/), "joins again: $end");
    ok(wait_log($t, qr/portal sent "init"/, count => $n), 'init');

    # a reload, so that the next delay is a short one again

    next if $n % 3;
    reload_and_wait($t);
    $n++;
    $portal->wait(qr/^$n text .*phx_join/);
    wait_log($t, qr/portal sent "init"/, count => $n);
}

is($portal->secret(), $secret, 'the same secret');
is(talk($c), 'there back', 'the same allocation');

# what does not end it

$portal->ping('a' x 125);
ok($portal->wait(qr/^$n pong a{125}$/), 'ping');
$portal->text(' ' x 100000 . '{"event":"x"}');
$portal->raw("\x82\x04abcd");
$portal->raw("\x01\x03{\"e\x89\x01b\x00\x05vent\"\x80\x05:\"x\"}");
ok($portal->wait(qr/^$n pong b$/), 'ping between fragments');
ok($portal->wait(qr/^$n text .*heartbeat/), 'heartbeat');

# gone for some time

$portal->stop();
ok(wait_log($t, qr/connect\(\) failed/), 'nobody there');

is(talk($c), 'there back', 'the allocation');
is($c->refresh()->{code}, 0, 'refresh');

my $other = client($portal);
is(talk($other), 'there back', 'another allocation');

# new workers as well

reload_and_wait($t);

is(talk($c), 'there back', 'the allocation, after a reload');
is(talk($other), 'there back', 'the other one, after a reload');

my $third = client($portal);
is(talk($third), 'there back', 'one from after the reload');

my $inits = count_log($t, qr/portal sent "init"/) + 1;

$portal->start();
ok(wait_log($t, qr/portal sent "init"/, count => $inits), 'is back');
is($portal->secret(), $secret, 'the same secret');
is(talk($c), 'there back', 'the allocation');

# workers stay for an allocation

$_->refresh(0) for $c, $other, $third;


sub client {
    my ($portal) = @_;

    my $c = turn(port => port(8478), $portal->credentials());
    my $peer = turn_peer();

    $c->allocate();
    $c->bind_channel(0x4000, peer_addr($peer));
    $c->{peer} = $peer;

    return $c;
}


sub talk {
    my ($c) = @_;

    $c->send_channel(0x4000, 'there');
    my $there = peer_read($c->{peer});

    peer_send($c->{peer}, $c->relayed(), 'back');
    my $back = $c->expect('channel');

    return "$there $back->{data}";
}
