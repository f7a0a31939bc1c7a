#!/usr/bin/perl

# Tests for time-limited credentials: secrets, their rotation, and user names
# that expire.

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
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_secret north;
        trp_turn_secret south;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(41);

my $then = time() + 3600;

is(rest('north', $then), 0, 'first secret');
is(rest('south', $then), 0, 'second secret');
is(rest('west', $then), 401, 'wrong secret');
is(rest('nort', $then), 401, 'part of a secret');
is(rest('north', "$then:name"), 0, 'with a name');
is(rest('north', "$then:a:b"), 0, 'with a name that has a colon');
is(rest('north', "$then:"), 0, 'with an empty name');
is(rest('north', "$then:" . 'a' x 400), 0, 'with a long name');
is(rest('north', time() - 10), 401, 'expired');
is(rest('north', time() - 10 . ':name'), 401, 'expired, with a name');
is(rest('north', 1), 401, 'long ago');
is(rest('north', 0), 401, 'longer ago');
is(rest('north', ''), 401, 'empty');
is(rest('north', ':name'), 401, 'no time');
is(rest('north', 'name'), 401, 'only a name');
is(rest('north', "name:$then"), 0, 'the other way round');
is(rest('north', "a:b:$then"), 0, 'with a name that has a colon');
is(rest('north', "1001:$then"), 0, 'with a name that is a number');
is(rest('north', "name:" . (time() - 10)), 401, 'the other way, expired');
is(rest('west', "name:$then"), 401, 'the other way, wrong secret');
is(rest('north', "$then:1001"), 0, 'the time first, and a number');
is(rest('north', time() - 10 . ":$then"), 401, 'two times: the first counts');
is(rest('north', "$then:" . (time() - 10)), 0, 'as said');
is(rest('north', "name:${then}x"), 401, 'the other way, no number');
is(rest('north', "name:$then:"), 401, 'nothing behind it');
is(rest('north', "${then}x"), 401, 'no number');
is(rest('north', "-$then"), 401, 'negative');
is(rest('north', "+$then"), 401, 'sign');
is(rest('north', " $then"), 401, 'blank');
is(rest('north', '9' x 40), 401, 'a number too long');
is(login("$then:x", stun_rest('north', "$then:y")), 401, 'another name');
is(login($then, ''), 401, 'no password');
is(login('alice', 'secret'), 0, 'users beside that');
is(login('alice', stun_rest('north', 'alice')), 401, 'but not mixed');

# SHA-256, where the secret is the same

my $c = client("$then:sha", stun_rest('south', "$then:sha"),
    transport => 'tcp', port => port(8479), algorithm => 'sha256',
    integrity => 'sha256');

is($c->allocate()->{code}, 0, 'SHA-256');

# the allocation belongs to the name

$c = client("$then:name", stun_rest('north', "$then:name"));
$c->allocate();

is(refresh($c, "$then:name", 'north'), 0, 'refresh');
is(refresh($c, "$then:name", 'south'), 0, 'by the other secret');
is(refresh($c, "$then:other", 'north'), 441, 'another name');
is(refresh($c, time() - 10 . ':name', 'north'), 401, 'an earlier time');

# a secret that is taken away

$t->write_file('nginx.conf',
    $t->read_file('nginx.conf') =~ s/trp_turn_secret north;//r);
reload_and_wait($t);

is(rest('north', $then), 401, 'the old secret');
is(rest('south', $then), 0, 'the new one');


sub refresh {
    my ($c, $user, $secret) = @_;

    return $c->refresh(600, [], user => $user,
        password => stun_rest($secret, $user))->{code};
}


sub rest {
    my ($secret, $user) = @_;
    return login($user, stun_rest($secret, $user));
}


sub login {
    my $r = client(@_)->allocate();

    return $r->{code} eq '0' && $r->{signed} ne 'sha1' ? 'unsigned'
        : $r->{code};
}


sub client {
    my ($user, $password, %opts) = @_;

    return turn(port => port(8478), user => $user, password => $password,
        %opts);
}
