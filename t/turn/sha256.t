#!/usr/bin/perl

# Tests for what RFC 8489 added to credentials: SHA-256, USERHASH, password
# algorithms and their protection against bidding down.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ sha256 /;
use MIME::Base64 qw/ decode_base64 /;

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
        trp_turn_user dora:0xSHA;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_unauthenticated_rate 10000r/s;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_user carol:0xMD5;
        trp_turn_external_address 127.0.0.1;
    }
}

EOC

my $md5 = unpack 'H*', stun_key('carol', 'example.org', 'of carol');
my $sha = unpack 'H*', stun_key('dora', 'example.org', 'of dora', 'sha256');

$t->write_file_expand('nginx.conf',
    $conf =~ s/0xMD5/0x$md5/r =~ s/0xSHA/0x$sha/r);

$t->run()->plan(62);

# what is offered

my $c = client();
my $r = $c->allocate([], retry => 0);

is("@{$r->{order}}", 'error-code realm nonce password-algorithms',
    'attributes of the first answer');
like($r->{attr}->{nonce}, qr/^obMatJos2[A-Za-z0-9+\/]{4}/, 'nonce cookie');

my $bits = unpack 'B24', decode_base64(
    substr $r->{attr}->{nonce}, 9, 4);
is(substr($bits, 0, 1), 1, 'password algorithms');
ok(defined $r->{attr}->{'password-algorithms'}, 'are there');
ok(grep({ $_ == 2 } @{$r->{attr}->{'password-algorithms'} || []}), 'SHA-256');

# each algorithm with each integrity, from allocation to data

for my $algorithm (qw/ md5 sha256 /) {
    for my $integrity (qw/ sha1 sha256 both /) {
        session("$algorithm, $integrity", algorithm => $algorithm,
            integrity => $integrity);
    }
}

session('over UDP', algorithm => 'sha256', integrity => 'sha256',
    transport => 'udp', port => port(8478), software => 'x' x 100);
session('USERHASH', algorithm => 'sha256', integrity => 'sha256',
    userhash => 1);
session('USERHASH, MD5', userhash => 1);

# keys

is(client(algorithm => 'sha256', user => 'dora', password => 'of dora')
    ->allocate()->{code}, 0, 'a key of SHA-256');
is(client(algorithm => 'md5', user => 'dora', password => 'of dora')
    ->allocate()->{code}, 401, 'is none of MD5');

# a key of MD5 is good for nothing else: SHA-256 is not offered then

$c = client(port => port(8480), algorithm => 'sha256', user => 'carol',
    password => 'of carol');
is($c->allocate()->{code}, 0, 'a key of MD5');
ok(!$c->{algorithms}, 'has no other algorithm');

# wrong ones

is(client(algorithm => 'sha256', integrity => 'sha256', password => 'x')
    ->allocate()->{code}, 401, 'wrong password');
is(client(algorithm => 'sha256', user => 'nobody')->allocate()->{code}, 401,
    'unknown user');
is(client(userhash => 1, user => 'nobody')->allocate()->{code}, 401,
    'unknown hash');
is(raw(userhash => \'abc'), 400, 'short hash');
is(raw(userhash => \(sha256('alice:example.org') . 'x')), 400, 'long hash');

# MESSAGE-INTEGRITY-SHA256 has 16 to 32 bytes, in steps of 4; otherwise it may
# be an error, or no message at all

my %lengths = (0 => 0, 4 => 0, 12 => 0, 15 => 0, 16 => 1, 20 => 1, 28 => 1,
    30 => 0, 32 => 1);

for my $length (sort { $a <=> $b } keys %lengths) {
    my $c = client(algorithm => 'sha256');
    $c->learn($c->allocate([], retry => 0));

    my $bytes = $c->request('allocate', [ 'requested-transport' => 17 ],
        integrity => 'none',
        tail => [ 'message-integrity-sha256' => [ $c->key(), $length ] ]);
    my $r = $c->exchange($bytes);

    $lengths{$length} ? is($r->{code}, 0, "integrity of $length bytes")
        : like($r->{code}, qr/^(?:40[01]|eof|reset)$/,
            "integrity of $length bytes");
}

# the right SHA-1 does not help a wrong SHA-256

$c = client(algorithm => 'sha256');
$c->learn($c->allocate([], retry => 0));
is($c->allocate([], integrity => 'none', retry => 0, tail => [
    'message-integrity' => scalar $c->key(),
    'message-integrity-sha256' => 'wrong' ])->{code}, 401, 'one is wrong');

# bidding down: what the server has offered must come back

is(offered(sub {}), 0, 'the offer');
is(offered(sub { $_[0]->{algorithms} = [ 1 ] }), 400, 'MD5 only');
is(offered(sub { $_[0]->{algorithms} = [ reverse @{$_[0]->{algorithms}} ] }),
    400, 'another order');
is(offered(sub { push @{$_[0]->{algorithms}}, 3 }), 400, 'one more');
is(offered(sub { $_[0]->{algorithms} = [] }), 400, 'none');
is(offered(sub { $_[0]->{without} = [ 'password-algorithms' ] }), 400,
    'no list');
is(offered(sub { $_[0]->{without} = [ 'password-algorithm' ] }), 400,
    'no choice');
is(offered(sub { $_[0]->{nonce} =~ s/^(obMatJos2)..../$1AAAA/ }), 438,
    'no feature');
is(offered(sub { $_[0]->{nonce} =~ s/^obMatJos2....// }), 438, 'no cookie');
is(raw('password-algorithm' => 3, 'password-algorithms' => [ 3 ]), 400,
    'unknown algorithm');

# a client of RFC 5389 knows none of it

is(client()->allocate()->{code}, 0, 'an old client');


# the whole of it, signed

sub session {
    my ($name, %opts) = @_;
    my $c = client(%opts);
    my $r = $c->allocate();

    is($r->{code}, 0, "$name: allocated");
    like($r->{signed}, $c->{integrity} eq 'sha1' ? qr/^sha1$/ : qr/sha256$/,
        "$name: the answer is signed alike");
    is($c->permit('127.0.0.1')->{code}, 0, "$name: permission");
}


# after a change of what the client knows

sub offered {
    my ($change) = @_;
    my $c = client(algorithm => 'sha256');

    $c->learn($c->allocate([], retry => 0));
    my $key = $c->key();
    $change->($c);

    return $c->allocate([], retry => 0, key => $key)->{code};
}


# with attributes of its own before the integrity

sub raw {
    my (%attrs) = @_;
    my $c = client();

    $c->learn($c->allocate([], retry => 0));

    return $c->allocate([ %attrs ], retry => 0,
        $attrs{userhash} ? (without => [ 'username' ]) : ())->{code};
}


sub client {
    return turn(port => port(8479), transport => 'tcp', user => 'alice',
        password => 'secret', @_);
}
