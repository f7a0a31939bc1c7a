#!/usr/bin/perl

# Tests for long-term credentials: the order of errors, nonces, users, keys.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

my $conf = <<'EOC';

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
        trp_turn_user alice:secret;
        trp_turn_user bob:with:colons;
        trp_turn_user carol:0xMD5;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_unauthenticated_rate 10000r/s;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        listen 127.0.0.1:%%PORT_8481%%;
        trp_turn;
        trp_turn_realm elsewhere;
        trp_turn_user alice:secret;
        trp_turn_user dora:0xSHA;
        trp_turn_external_address 127.0.0.1;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

my $md5 = unpack 'H*', stun_key('carol', 'example.org', 'of carol');
my $sha = unpack 'H*', stun_key('dora', 'elsewhere', 'of dora', 'sha256');

$t->write_file_expand('nginx.conf',
    $conf =~ s/0xMD5/0x$md5/r =~ s/0xSHA/0x$sha/r);

$t->run()->plan(54);

# the first answer

my $c = client();
my $r = $c->allocate([], retry => 0);

is($r->{code}, 401, 'who is it');
is("@{$r->{order}}", 'error-code realm nonce', 'attributes');
is($r->{attr}->{realm}, 'example.org', 'realm');
is($r->{signed}, '', 'not signed');

for my $method (qw/ refresh createpermission channelbind connect
    connectionbind /)
{
    is(client()->call($method, [], retry => 0)->{code}, 401, $method);
}

# the order of errors; an unknown attribute comes behind all of them

my @unknown = ('requested-transport' => 17, '0x7fff' => '');

$c->learn($r);

is(error(without => [ 'message-integrity' ]), 401, 'no integrity');
is(error(without => [ qw/ username message-integrity / ]), 401, 'nor user');
is(error(without => [ 'username' ]), 400, 'no user');
is(error(without => [ 'realm' ]), 400, 'no realm');
is(error(without => [ 'nonce' ]), 400, 'no nonce');
is(error(without => [ 'nonce' ], password => 'wrong'), 400,
    'no nonce, wrong password');
is(error(nonce => 'x'), 438, 'wrong nonce');
is(error(nonce => ''), 438, 'empty nonce');
is(error(nonce => 'x' x 500), 438, 'long nonce');
is(error(nonce => 'x', password => 'wrong'), 438,
    'wrong nonce, wrong password');
is(error(nonce => 'x', user => 'nobody'), 438, 'wrong nonce, unknown user');
is(error(password => 'wrong'), 401, 'wrong password');
is(error(user => 'nobody'), 401, 'unknown user');
is(error(user => ''), 401, 'empty user');
is(error(user => 'Alice'), 401, 'case');
is(error(user => 'alic', password => 'e:secret'), 401, 'part of a name');
is(error(key => ''), 401, 'empty key');
is(error(), 420, 'and then 420');
is($c->allocate()->{code}, 0, 'no error');

# answers to strangers

$c = client();
$r = $c->allocate([], retry => 0);
$c->learn($r);
$r = $c->allocate([], nonce => 'x', retry => 0);

is("@{$r->{order}}", 'error-code realm nonce', 'stale nonce: attributes');
is($r->{signed}, '', 'stale nonce: not signed');
ok($c->learn($r) && $c->allocate()->{code} eq '0', 'stale nonce: a new one');

$c = client();
$r = $c->allocate([], password => 'wrong', retry => 0);
$c->learn($r);
$r = $c->allocate([], password => 'wrong', retry => 0);

is("@{$r->{order}}", 'error-code realm nonce', 'wrong password: attributes');
is($r->{signed}, '', 'wrong password: not signed');

# a nonce belongs to an address

my $nonce = $c->{nonce};
my ($port) = $c->addr() =~ /:(\d+)$/;

$c = client(from => '127.0.0.2', from_port => $port, nonce => $nonce,
    realm => 'example.org');
is($c->allocate([], retry => 0)->{code}, 438, 'nonce of somebody else');

for my $i (0 .. length($nonce) - 1) {
    my $other = $nonce;
    substr($other, $i, 1) = substr($other, $i, 1) eq 'A' ? 'B' : 'A';
    $c = client(nonce => $other, realm => 'example.org');
    next if $c->allocate([], retry => 0)->{code} eq '438';
    $r = "byte $i";
    last;
}

ok(ref $r, 'each byte of a nonce counts') or diag($r);

# integrity

$c = client();
$c->learn($c->allocate([], retry => 0));

my $bytes = $c->request('allocate', [ 'requested-transport' => 17 ]);
is($c->exchange($bytes =~ s/^.{8}\K.{12}/abcdefghijkl/sr)->{code}, 401,
    'the transaction is signed');

substr($bytes, -1) ^= "\1";
is($c->exchange($bytes)->{code}, 401, 'wrong integrity');

$bytes = $c->request('allocate', [ 'requested-transport' => 17 ],
    tail => [ lifetime => 3000, '0x7fff' => '' ], fingerprint => 1);
$r = $c->exchange($bytes);

is($r->{code}, 0, 'what follows the integrity is ignored');
is($r->{attr}->{lifetime}, 600, 'and not used');
is($r->{fingerprint}, 1, 'but for the fingerprint');

# another user can't use the allocation

for my $method (qw/ refresh createpermission channelbind /) {
    my $answer = $c->call($method, [ 'channel-number' => 0x4000,
        'xor-peer-address' => '127.0.0.1:9' ],
        user => 'bob', password => 'with:colons');
    is($answer->{code}, 441, "$method of another");
}

is($c->refresh()->{code}, 0, 'but the first one');

# kinds of users

is(login('alice', 'secret'), 0, 'user');
is(login('bob', 'with:colons'), 0, 'password with colons');
is(login('bob', 'with'), 401, 'and not a part of it');
is(login('carol', 'of carol'), 0, 'key');
is(login('carol', $md5), 401, 'a key is no password');
is(login('carol', "0x$md5"), 401, 'nor with its prefix');

$c = turn(port => port(8480), user => 'dora', password => 'of dora');
is($c->allocate()->{code}, 401, 'a key of SHA-256 is not for MD5');
$c = turn(port => port(8481), transport => 'tcp', user => 'dora',
    password => 'of dora', algorithm => 'sha256');
is($c->allocate()->{code}, 0, 'but for SHA-256');

$c = turn(port => port(8480), user => 'alice', password => 'secret');
is($c->allocate()->{code}, 0, 'another realm');
is($c->{realm}, 'elsewhere', 'its name');


# the code of a request that also has an unknown attribute

sub error {
    my (%opts) = @_;
    return $c->call('allocate', \@unknown, retry => 0, %opts)->{code};
}


sub login {
    my ($user, $password) = @_;
    my $c = client(user => $user, password => $password);
    my $r = $c->allocate();

    return $r->{code} eq '0' && $r->{signed} ne 'sha1' ? 'unsigned'
        : $r->{code};
}


sub client {
    return turn(port => port(8478), user => 'alice', password => 'secret',
        @_);
}
