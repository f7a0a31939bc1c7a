#!/usr/bin/perl

# Tests for SOCKS5 in front of a TURN server that denies a destination, and
# allows it later, while the client goes on to send there.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream udp /)->plan(5);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream turn {
        server 127.0.0.1:%%PORT_8200_UDP%%;

        trp_turn_client;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass turn;
    }
}

EOC

my $peer = turn_peer('127.0.0.1');
my $to = peer_addr($peer);
my $file = $t->testdir() . '/denied';

$t->run_daemon(\&echo_datagrams, $peer);

my $denied = sub { return -e $file ? 403 : undef };

fake_turn($t, port(8200, udp => 1), udp => 1,
    on => { channelbind => $denied, createpermission => $denied });

$t->write_file('denied', '');

$t->run();

my $u = socks_udp(port(8080));

# as a game or a call does

my $answered = sub {
    $u->send_to($to, 'hello');
    return $u->receive(0.05);
};

ok(wait_for(sub {
    $answered->();
    return count_log($t, qr/channelbind 403/, file => 'turn.log') >= 2;
}), 'one who is denied is tried again');

is(count_log($t, qr/ does not send datagrams to 127\.0\.0\.1, port \d+: 403/),
    1, 'a line');

unlink $file;

ok(wait_for($answered), 'and served when he is not denied any more');
ok(count_log($t, qr/channelbind 403/, file => 'turn.log') < 100,
    'not with each datagram');
is(count_log($t, qr/ allocate 0/, file => 'turn.log'), 1, 'one allocation');
