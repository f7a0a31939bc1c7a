#!/usr/bin/perl

# Tests for trp_relay_limit_key and limit= in the authorized keys: tunnels,
# streams and opens of a key, with nobody else harmed.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Scalar::Util qw/ weaken /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 1h;
        trp_relay_limit_key tunnels=4 streams=2;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my ($ids, @agents, @reverse, %keys) = 0;
@keys{qw/ one two wide fast reverse /} =
    trp_keys($relay, qw/ one two wide fast reverse /);

trp_cert($relay);
$relay->write_file('authorized_keys', join "\n", @keys{qw/ one two /},
    "limit=\"tunnels=6,streams=5\" $keys{wide}",
    "limit=\"tunnels=9,streams=9,opens=1r/s\" $keys{fast}",
    "limit=\"tunnels=20,streams=3\" $keys{reverse}");
$relay->run()->plan(25);

my $dir = $relay->testdir();

# tunnels

my @one = map { agent('one', 'entry') } 1 .. 4;
my $c = agent('one', 'entry');

is($c->{answer}->{type}, 'ERROR', 'one tunnel too many');
is($c->{answer}->{code}, 'limit', 'code');
like($c->{answer}->{text}, qr/^over the limit: the key has too many tunnels/,
    'text');
isnt($c->wait_end(), 'timeout', 'closed');

like(log_line('is not authorized'),
    qr/entry "raw" for group "0" .*: the key has too many tunnels .*\(one\)/,
    'log');

is(agent('one', 'reverse')->{answer}->{type}, 'ERROR', 'in any role');
is(agent('one', 'entry', 'other')->{answer}->{type}, 'READY',
    'in another group');

my @two = map { agent('two', 'entry') } 1 .. 4;
is(ready(@two), 4, 'another key');

my @wide = map { agent('wide', 'entry') } 1 .. 7;
is(ready(@wide), 6, 'limit= of a key');

# as soon as one is gone

(pop @one)->abort();
ok(wait_for(sub {
    my $c = agent('one', 'entry');
    my $ok = $c->{answer}->{type} eq 'READY';
    push @one, $c if $ok;
    return $ok;
}), 'a tunnel has gone');

# streams count while they wait for a reverse, and afterwards

my ($e1, $e2, $e3, $e4) = @one;

$_->write(open_frame($_)) for $e1, $e2;
$_->send('PING') && $_->expect('PONG') for @two[0, 1];

my $frame = ask($e3);
is($frame->{type}, 'REFUSE', 'one stream too many');
is($frame->{code}, 'limit', 'code');
is($frame->{retry}, 0, 'not to be tried again');

my $id = unpack 'H*', $e3->{id};
like(log_line('may not open'), qr/entry\ "raw"\ \(one\)\ at\ 127\.0\.0\.1.*
    \ may\ not\ open\ "127\.0\.0\.1:80":\ the\ key\ has\ too\ many\ streams,
    \ group:\ "0",\ stream:\ $id/x, 'log');

$e1->abort();
ok(wait_for(sub { !ask($e3) }), 'lost');

$e2->send('RESET');
$e2->expect('REFUSE');
$e2->send('DONE');
$e2->expect('DONE');
ok(wait_for(sub { !ask($e4) }), 'given up');

@reverse = map { agent('reverse', 'reverse') } 1 .. 5;
is(ready(@reverse), 5, 'reverse');

ok(wait_for(sub { carried($e3, $e4) == 2 }), 'streams of one key');

$two[0]->write(open_frame($two[0]));
ok(wait_for(sub { carried($two[0]) }), 'another key');

# a reverse at its limit gets no more, the stream waits

$two[1]->write(open_frame($two[1]));
$two[2]->send('PING');
$two[2]->expect('PONG');
is(carried($two[1]), 0, 'reverse at its limit');

finish($e3, grep { $_->{carries} && $_->{carries} eq $e3->{id} } @reverse);
ok(wait_for(sub { carried($two[1]) }), 'reverse has room again');
is(ask($e2), undef, 'key has room again');

$_->abort() for @one[1 .. 3], @two, @wide, @reverse;

# opens per second, with a burst of as many as in a second

my $fast = agent('fast', 'entry');
my $server = agent('reverse', 'reverse');
my ($done, $refused) = (0, 0);

wait_for(sub {
    $fast->write(open_frame($fast));
    my $frame = $server->expect('OPEN', timeout => 0.2);

    if ($frame) {
        $server->write(frame('REFUSE', refuse_payload('refused', 0)));
        $done++;
    }

    my $answer = $fast->expect('REFUSE') or return 1;
    $refused++ if $answer->{code} eq 'limit';
    $fast->write(frame('DONE') . frame('RESET'));

    if ($frame) {
        $server->expect('DONE');
        $server->expect('RESET');
    }

    return $done == 2;
});

is($done, 2, 'opens');
cmp_ok($refused, '>', 0, 'not all at once');
like(log_line('too fast'), qr/ \(fast\) .*: the key opens streams too fast, /,
    'log');


sub agent {
    my ($key, $role, $group) = @_;
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));

    $agent->{answer} = $agent->login(key => "$dir/$key", role => $role,
        group => $group || '0', beside => [ grep { defined } @agents ])
        || { type => 'nothing' };

    push @agents, $agent;
    weaken($agents[-1]);

    return $agent;
}


sub ready {
    return scalar grep { $_->{answer}->{type} eq 'READY' } @_;
}


# the same id for all streams of a client

sub open_frame {
    my ($c) = @_;

    $c->{id} ||= sprintf 'id%06d', ++$ids;
    return frame('OPEN', open_payload(port => 80, id => $c->{id}));
}


# what a stream is refused with; undef if it is not, and then it is open

sub ask {
    my ($c) = @_;

    $c->write(open_frame($c));
    my $frame = $c->read(timeout => 0.3) or return;
    return $frame if $frame->{type} ne 'REFUSE';

    $c->write(frame('DONE') . frame('RESET'));

    return $frame;
}


# how many of these entries have their streams carried by a reverse

sub carried {
    for my $c (grep { !$_->{carries} } @reverse) {
        my $frame = $c->expect('OPEN', timeout => 0.1) or next;
        $c->{carries} = $frame->{id};
        $c->send('ACCEPT');
    }

    my %carried = map { ($_->{carries} || '') => 1 } @reverse;
    return scalar grep { $carried{$_->{id}} } @_;
}


# the entry resets its stream

sub finish {
    my ($entry, $reverse) = @_;

    $entry->send('RESET');
    $reverse->expect('RESET');
    delete $reverse->{carries};
    $reverse->write(frame('RESET') . frame('DONE'));

    1 while ($entry->read() || { type => 'DONE' })->{type} ne 'DONE';
    $entry->send('DONE');
    $reverse->expect('DONE');
}


sub log_line {
    my ($text) = @_;
    my $re = qr/\Q$text\E/;

    wait_log($relay, $re);
    return (grep { $_ =~ $re } split /\n/, $relay->read_file('error.log'))[0];
}
