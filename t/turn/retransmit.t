#!/usr/bin/perl

# Tests for requests that come twice: they get the same answer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
    log_format turn "$remote_port $trp_turn_end";
    access_log %%TESTDIR%%/access.log turn;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(28);

my $peer = turn_peer();
my $addr = peer_addr($peer);

# binding

my $c = client();
same($c, 'binding', stun_message('binding', []), 0);

# strangers

same($c, 'stranger', stun_message('allocate',
    [ 'requested-transport' => 17 ]), 401, 1);

# Allocate: the same relayed address, not a second one and not 437

$c->learn($c->allocate([], retry => 0));
my $allocate = $c->request('allocate', [ 'requested-transport' => 17 ]);

my ($first, $second) = same($c, 'allocate', $allocate, 0);
is($second->{attr}->{'xor-relayed-address'},
    $first->{attr}->{'xor-relayed-address'}, 'the same address');
is($second->{signed}, 'sha1', 'signed');

# also later, after other requests

$c->permit($addr);
is($c->exchange($allocate)->{attr}->{'xor-relayed-address'},
    $first->{attr}->{'xor-relayed-address'}, 'the same address, later');
is($c->allocate()->{code}, 437, 'another transaction is another request');
is($c->exchange($allocate)->{code}, 0, 'the first one after that');

# both at once, the answer to the first was not yet read

my $d = client();
$d->learn($d->allocate([], retry => 0));
my $bytes = $d->request('allocate', [ 'requested-transport' => 17,
    'even-port' => 1 ]);
$d->write($bytes);
$d->write($bytes);
my @answers = ($d->read(), $d->read());

is("$answers[0]->{code} $answers[1]->{code}", '0 0', 'two at once');
is($answers[1]->{raw}, $answers[0]->{raw}, 'the same to the last byte');
ok(defined $answers[1]->{attr}->{'reservation-token'}, 'with its token');

# the others

same($c, 'permission',
    $c->request('createpermission', [ 'xor-peer-address' => $addr ]), 0);
same($c, 'channel', $c->request('channelbind',
    [ 'channel-number' => 0x4000, 'xor-peer-address' => $addr ]), 0);
same($c, 'refresh', $c->request('refresh', [ lifetime => 1000 ]), 0);
same($c, 'denied',
    $c->request('createpermission', [ 'xor-peer-address' => '10.0.0.1' ]),
    403);
same($c, 'unknown attribute', $c->request('refresh', [ '0x7fff' => '' ]),
    420);

# the end: the answer to the first may have been lost

my $own = (split /:/, $c->addr())[1];

$bytes = $c->request('refresh', [ lifetime => 0 ]);
is($c->exchange($bytes)->{code}, 0, 'deletion');

# RFC 8656, section 8.3: 437 says the same

like($c->exchange($bytes)->{code}, qr/^(?:0|437)$/, 'deletion: again');
is($c->refresh()->{code}, 437, 'it is no more');
is(count_log($t, qr/^$own /, file => 'access.log'), 1, 'ended once');


# sends the same bytes twice, one behind the other

sub same {
    my ($c, $name, $bytes, $code, $differs) = @_;
    my @answers = map { $c->exchange($bytes) } 1, 2;

    is($answers[0]->{code}, $code, "$name: code");
    $differs ? is($answers[1]->{code}, $code, "$name: again")
        : is($answers[1]->{raw}, $answers[0]->{raw}, "$name: again");

    return @answers;
}


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret');
}
