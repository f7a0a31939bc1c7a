#!/usr/bin/perl

# Tests for a TURN server that serves only those accounts which its portal
# has named, and ends the allocations of the others at once.

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
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn "$trp_turn_username $trp_turn_relayed_addr";

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;

        access_log %%TESTDIR%%/turn.log turn;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_portal ws://localhost:%%PORT_8081%% account_validation;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my ($anna, $bert, $carl) = map { "$_-3ef0-4a1c-9d2b-000000000000" }
    qw/ aaaaaaaa bbbbbbbb cccccccc /;

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081),
    init => { account_ids => [ $anna, $bert ] });

$t->run()->plan(28);

ok(wait_log($t, qr/"init" with 2 accounts/), 'init');

my ($join) = $portal->texts(qr/phx_join/);
is($join->{payload}->{turn_account_validation}, 1, 'asks for accounts');

is(login($portal, $anna), 0, 'an account');
is(login($portal, $bert), 0, 'another account');
is(login($portal, $carl), 401, 'an account that was not named');
is(login($portal, ''), 401, 'an account without a name');
is(login($portal, undef), 401, 'no account');

# one more

$portal->event('account_added', { account_id => $carl });
ok(wait_log($t, qr/portal added account "$carl"/), 'added');

is(login($portal, $carl), 0, 'the account that was added');
is(login($portal, $anna), 0, 'those from before');

$portal->event('account_added', { account_id => $carl });
ok(wait_log($t, qr/portal added account "$carl"/, count => 2), 'added again');

# one less: several clients of each, so that there are some in each worker

my @anna = map { client($portal, $anna) } 1 .. 4;
my @bert = map { client($portal, $bert) } 1 .. 4;

is(talking(@anna), 4, 'allocations');
is(talking(@bert), 4, 'allocations of another account');

$portal->event('account_removed', { account_id => $anna });
ok(wait_log($t, qr/portal removed account "$anna"/), 'removed');

ok(ended($t, @anna), 'its allocations have ended');
is(talking(@anna), 0, 'with all that they had');
is((join ' ', map { $_->refresh()->{code} } @anna), '401 401 401 401',
    'its credentials are worth nothing');
is(login($portal, $anna), 401, 'nor for a new allocation');

is(talking(@bert), 4, 'those of the other account go on');
is(login($portal, $carl), 0, 'the last one is there');

$portal->event('account_removed', { account_id => 'nobody' });
ok(wait_log($t, qr/portal removed account "nobody"/), 'removed another');
is(talking(@bert), 4, 'which means nothing to the others');

# who comes back

$portal->event('account_added', { account_id => $anna });
ok(wait_log($t, qr/portal added account "$anna"/), 'added again');
is(login($portal, $anna), 0, 'and can allocate again');

# another connection has other accounts: what was removed meanwhile ends

$portal->behave(init => { account_ids => [ $anna ] });
$portal->drop();

ok(wait_log($t, qr/"init" with 1 accounts/), 'connected again');
ok(ended($t, @bert), 'allocations of who is not there any more');
is(login($portal, $bert), 401, 'nothing for him');
is(login($portal, $anna), 0, 'but for the others');


sub login {
    my ($portal, $account) = @_;

    return turn(port => port(8478), $portal->credentials(account => $account))
        ->allocate()->{code};
}


# an allocation with a channel to a peer of its own

sub client {
    my ($portal, $account) = @_;

    my $c = turn(port => port(8478),
        $portal->credentials(account => $account));
    my $peer = turn_peer();

    $c->allocate();
    $c->bind_channel(0x4000, peer_addr($peer));
    $c->{peer} = $peer;

    return $c;
}


# how many of them still reach their peers, and the other way round

sub talking {
    my $n = 0;

    for my $c (@_) {
        $c->send_channel(0x4000, 'there');
        my $there = peer_read($c->{peer}, 0.3) or next;

        peer_send($c->{peer}, $c->relayed(), 'back');
        my $back = $c->expect('channel', 0.3) or next;

        $n++ if $there eq 'there' && $back->{data} eq 'back';
    }

    return $n;
}


sub ended {
    my ($t, @clients) = @_;

    return @clients == grep {
        my $addr = $_->relayed();
        wait_log($t, qr/ \Q$addr\E$/, file => 'turn.log');
    } @clients;
}
