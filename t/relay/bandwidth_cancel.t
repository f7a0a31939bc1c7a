#!/usr/bin/perl

# A user who is held up by a limit of bandwidth leaves: what is on its way to
# this user is dropped without limit, and the tunnel serves the next one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

use constant PIECE => 10_000;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);

hub_conf($relay, relay => 'trp_relay_limit_group rate=1k;');
trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run()->plan(6);

my $reverse = Test::Nginx::TRP::Client->new(port => port(8443));
$reverse->login(key => $relay->testdir() . '/any', role => 'reverse');

my $user = connect_to(port(8080));
ok($reverse->expect('OPEN'), 'a user');
$reverse->send('ACCEPT');
$reverse->send('DATA', 'x' x PIECE) for 1 .. 20;

ok(sysread($user, my $data, 1), 'it reads');
close $user;

ok($reverse->expect('RESET'), 'it has left');
$reverse->send('RESET');
$reverse->send('DONE');
ok($reverse->expect('DONE'), 'that stream is over');

$user = connect_to(port(8080));
ok($reverse->expect('OPEN'), 'the next one');

# else this worker would wait for it

$reverse->send('REFUSE', refuse_payload(7, 0));
ok(!sysread($user, $data, 1), 'it is refused');
