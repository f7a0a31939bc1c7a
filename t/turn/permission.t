#!/usr/bin/perl

# Tests for CreatePermission: which peers get through, in both directions.

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

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_deny 127.0.0.66;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(32);

# the last of the peers has a permission all the time: when its data is there,
# that of the others has been looked at

my @peers = map { turn_peer("127.0.0.$_") } 2 .. 5;
my @addrs = map { peer_addr($_) } @peers;
my $last = '127.0.0.5';

my $c = client();
is($c->permit('127.0.0.2')->{code}, 437, 'no allocation');

$c->allocate();

my $r = $c->permit($last);
is($r->{code}, 0, 'a permission');
is("@{$r->{order}}", 'message-integrity', 'nothing else in the answer');
is($r->{signed}, 'sha1', 'integrity');
is(passes(), '5', 'one of them');

is($c->permit('127.0.0.2')->{code}, 0, 'one more');
is(passes(), '2 5', 'two of them');

# the port does not matter

is($c->permit('127.0.0.3:1')->{code}, 0, 'another port');
is(passes(), '2 3 5', 'three of them');

my $other = turn_peer('127.0.0.3');
peer_send($other, $c->relayed(), 'other port');
is($c->expect('data')->{attr}->{'xor-peer-address'}, peer_addr($other),
    'any port');

# several at once; again is no error

is($c->permit('127.0.0.2', '127.0.0.4', '127.0.0.2')->{code}, 0, 'several');
is(passes(), '2 3 4 5', 'all of them');

my @many = map { "127.0.1.$_" } 1 .. 20;
is($c->permit(@many)->{code}, 0, 'many');

# errors

$c = client();
$c->allocate();
$c->permit($last);

is($c->call('createpermission', [])->{code}, 400, 'no address');
is($c->call('createpermission', [ 'xor-peer-address' => \'abcd' ])->{code},
    400, 'short address');
is($c->call('createpermission', [ 'xor-peer-address' => \("\0\1" . 'a' x 18) ])
    ->{code}, 400, 'length of the other family');
is($c->call('createpermission', [ 'xor-peer-address' => \("\0\3" . 'a' x 6) ])
    ->{code}, 400, 'unknown family') or diag('or 443');
is($c->call('createpermission', [ 'xor-peer-address' => \'' ])->{code}, 400,
    'empty address');
is($c->permit('[2001:db8::1]:80')->{code}, 443, 'the other family');
is($c->permit('127.0.0.66')->{code}, 403, 'denied');
is($c->call('createpermission', [ 'xor-peer-address' => '127.0.0.2',
    '0x7fff' => '' ])->{code}, 420, 'unknown attribute');
is(passes(), '5', 'none of them has helped');

# all or nothing

is($c->permit('127.0.0.2', '127.0.0.66')->{code}, 403, 'a denied one');
is($c->permit('127.0.0.66', '127.0.0.2')->{code}, 403, 'the other way round');
is($c->permit('127.0.0.2', '[2001:db8::1]:80')->{code}, 443,
    'of the other family');
is($c->call('createpermission', [ 'xor-peer-address' => '127.0.0.2',
    'xor-peer-address' => \'abcd' ])->{code}, 400, 'a broken one');
is(passes(), '5', 'nothing of that');

# not for another allocation

my $d = client();
$d->allocate();
$d->permit('127.0.0.2');
is(passes(), '5', 'of another client');

# to peers: dropped without a permission

$c->send_to($addrs[0], 'no');
$c->send_to($addrs[3], 'yes');
is(scalar peer_read($peers[3]), 'yes', 'to a peer with a permission');
ok(!defined peer_read($peers[0], 0), 'to one without');

$c->permit('127.0.0.2');
$c->send_to($addrs[0], 'now');
is(scalar peer_read($peers[0]), 'now', 'and with it');

# nothing is left for the next allocation of the same client

$c->refresh(0);
$c->allocate();
$c->permit($last);
is(passes(), '5', 'a new allocation');


# the peers whose data arrives, the last one's behind the others'

sub passes {
    peer_send($_, $c->relayed(), 'data') for @peers;

    my %seen;

    while (my $m = $c->expect('data')) {
        my ($n) = $m->{attr}->{'xor-peer-address'} =~ /^127\.0\.0\.(\d+):/;
        $seen{$n} = 1;
        last if $n == 5;
    }

    return join ' ', sort keys %seen;
}


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret');
}
