#!/usr/bin/perl

# Tests for authentication as an attacker sees it: every failure is answered
# alike, and the relay logs what it was.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

relay_conf($relay, 8443);

my @keys = trp_keys($relay, 'any', 'entry', 'group', 'old', 'far', 'unknown');

trp_cert($relay);
$relay->write_file('authorized_keys', join "\n", $keys[0],
    "role=\"entry\" $keys[1]", "group=\"home*\" $keys[2]",
    "expiry-time=\"20200101\" $keys[3]", "from=\"192.0.2.0/24\" $keys[4]");
$relay->run();

my $dir = $relay->testdir();

my %answers;

# each of these has a signature that is right for what it claims, or not

my @cases = (
    [ 'role', 'signature is wrong', role => 'reverse',
        signed => { role => 'entry' } ],
    [ 'group', 'signature is wrong', group => 'home',
        signed => { group => '0' } ],
    [ 'name', 'signature is wrong', name => 'someone',
        signed => { name => 'raw' } ],
    [ 'group and name', 'signature is wrong', group => 'ab', name => 'c',
        signed => { group => 'a', name => 'bc' } ],
    [ 'nonce', 'signature is wrong', signed => { nonce => 'm' x 32 } ],
    [ 'version', 'signature is wrong', version => 3,
        signed => { version => 2 } ],
    [ 'other nonce of a relay', 'signature is wrong',
        signed => { relay_nonce => "\0" x 32 } ],
    [ 'no channel binding', 'signature is wrong',
        signed => { exporter => "\0" x 32 } ],
    [ 'bad signature', 'signature is wrong', signature => 's' x 64 ],
    [ 'empty signature', 'signature is wrong', signature => "\0" x 64 ],
    [ 'unknown key', 'key is not in the authorized keys',
        key => 'unknown' ],
    [ 'weak key', 'key is not in the authorized keys',
        public_key => "\1" . "\0" x 31, signature => "\0" x 64 ],
    [ 'key of another', 'signature is wrong', key => 'unknown',
        public_key => public_key('any') ],
    [ 'role of the key', 'key is not for this role', key => 'entry',
        role => 'reverse' ],
    [ 'unknown role', 'role is unknown', role => 4 ],
    [ 'two roles', 'role is unknown', role => 3 ],
    [ 'no role', 'role is unknown', role => 0 ],
    [ 'group of the key', 'key is not for this group', key => 'group',
        group => 'work' ],
    [ 'expired key', 'key has expired', key => 'old' ],
    [ 'address', 'key may not be used from this address', key => 'far' ],
    [ 'old version', 'version is too old', version => 1 ],
    [ 'empty group', 'invalid AUTH frame', group => '' ],
    [ 'empty name', 'invalid AUTH frame', group => 'ab', name => '' ],
    [ 'long name', 'invalid AUTH frame', name => 'n' x 65 ],
    [ 'line in a name', 'invalid AUTH frame', name => "a\nb" ],
);

$relay->plan(3 * @cases + 9);

# what is right

is(try(key => 'any')->{type}, 'READY', 'entry');
is(try(key => 'any', role => 'reverse', name => 'n' x 64)->{type}, 'READY',
    'reverse');
is(try(key => 'group', group => 'home-1')->{type}, 'READY', 'group');

# what is wrong

for my $case (@cases) {
    my ($name, $reason, %opts) = @$case;
    my $re = qr/is not authorized: \Q$reason\E/;
    my $before = count_log($relay, $re);

    my $answer = try(%opts);
    $answers{$answer->{bytes}}++;

    is($answer->{type}, 'ERROR', $name);
    is($answer->{end}, 'closed', 'closed');
    is(count_log($relay, $re) - $before, 1, "logged: $reason");
}

# a signature is good for one connection

my $first = client();
my $auth = $first->auth($first->expect('HELLO'), key => key('any'));
$first->write($auth);
is($first->read()->{type}, 'READY', 'first use');

my $second = client();
$second->expect('HELLO');
$second->write($auth);
my $answer = $second->read();
$answers{$answer->{bytes}}++;
is($answer->{text}, 'not authorized', 'second use');

is(scalar keys %answers, 1, 'all answers are the same');
is($answers{$answer->{bytes}}, 1 + @cases, 'all of them');

is(count_log($relay, qr/has a tunnel/), 4, 'nobody else has a tunnel');
is(count_log($relay, qr/\[(?:warn|error|crit)\](?!.* is not authorized: )/), 0,
    'nothing but info');


sub client {
    return Test::Nginx::TRP::Client->new(port => port(8443));
}


sub key {
    return "$dir/$_[0]";
}


sub public_key {
    return Test::Nginx::TRP::Client::public_key(key($_[0]));
}


sub try {
    my (%opts) = @_;
    my $client = client();
    my $answer = $client->login(%opts, key => key($opts{key} || 'any'))
        || { type => 'nothing', bytes => '' };

    return $answer if $answer->{type} eq 'READY';

    $answer->{end} = $client->wait_end() eq 'timeout' ? 'open' : 'closed';
    return $answer;
}
