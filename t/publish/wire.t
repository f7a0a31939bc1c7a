#!/usr/bin/perl

# Tests for publishing as agents see it: what the relay asks for, what it
# answers, who gets the streams, and when a name is free again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);

relay_conf($relay, 8443);

my @keys = trp_keys($relay, 'a', 'b', 'none', 'entry');

trp_cert($relay);
$relay->write_file('authorized_keys', join "\n",
    "permitlisten=\"20000-20009,*.example\",limit=\"publish=3\" $keys[0]",
    "permitlisten=\"*\" $keys[1]", $keys[2], $keys[3]);
$relay->run()->plan(39);

my $dir = $relay->testdir();

# an older agent, and one that publishes nothing

my $plain = agent('none', 'plain', undef);
is($plain->{ready}, 1, 'the relay knows publishing');
$plain->abort();

$plain = agent('none', 'plain', 0);
is($plain->{ready}, 1, 'there is nothing to tell');

# a list is told once

my $a = agent('a', 'first', 1);
is($a->{ready}, 3, 'the relay asks for the list');

$a->send('PUBLISH', "\0" . pack 'C/a C/a', '20000', 'Git.Example');
$a->send('PUBLISH', "\1" . pack 'C/a C/a', '20010', 'one.example');

is(results($a, 4), '20000:0 git.example:0 20010:5 one.example:0',
    'two frames, one name is not permitted');

my $second = agent('a', 'first', 1);
is($second->{ready}, 1, 'the list is known');
$second->close();

# limits, other keys

my $more = agent('a', 'more', 2);
publish($more, 'git.example', 'two.example');
is(results($more, 2), 'git.example:0 two.example:9',
    'one name is shared, another is one too many');

my $b = agent('b', 'first', 1);
publish($b, 'git.example', '20022');
is(results($b, 2), 'git.example:14 20022:0', 'the name of another key');

my $none = agent('none', 'first', 1);
publish($none, '20001');
is(results($none, 1), '20001:5', 'a key that may publish nothing');

my $far = agent('a', 'first', 1, group => 'far');
publish($far, 'git.example');
is(results($far, 1), 'git.example:14', 'the name of another group');

is(count_log($relay, qr/\[warn\].*may not publish "git\.example": another/), 2,
    'logged once for each');

# streams: only its publishers get them, in turn when one refuses

my $entry = agent('entry', 'user', undef, role => 'entry');
is($entry->{ready}, 1, 'entries know, too');

open_service($entry, 'git.example', 'stream-1');

my ($one) = ready_first($a, $more);
my $open = $one->expect('OPEN');
is(ord $open->{payload}, 134, 'the protocol of services');
like($open->{payload}, qr/git\.example/, 'its name');
$one->send('REFUSE', refuse_payload(7, 1));

my $refused = refusal($entry);
is("$refused->{code} $refused->{retry}", 'refused 1', 'another one may not');
finish($entry, $one);

my $other = $one == $a ? $more : $a;

open_service($entry, 'git.example', 'stream-1');
ok($other->expect('OPEN'), 'the other publisher');
$other->send('REFUSE', refuse_payload(7, 1));
$refused = refusal($entry);
is("$refused->{code} $refused->{retry}", 'refused 0', 'there are no others');
finish($entry, $other);

open_service($entry, '20000', 'stream-2');
ok($a->expect('OPEN'), 'a port');
$a->send('ACCEPT');
ok($entry->expect('ACCEPT'), 'accepted');
$entry->send('DATA', 'hello');
is($a->data(length => 5), 'hello', 'data');
$entry->send('END');
$a->send('END');
ok($a->expect('END') && $entry->expect('END'), 'both ends');
$_->send('DONE') for $a, $entry;
ok($a->expect('DONE'), 'done');

for my $case ([ 'one.nobody', 'unknown' ], [ '20022', 'of another key' ],
    [ 'two.example', 'not granted' ])
{
    my ($name, $what) = @$case;

    if ($name eq '20022') {
        open_service($entry, $name, 'stream-3');
        ok($b->expect('OPEN'), 'every key of the group is served');
        $b->send('REFUSE', refuse_payload(13, 1));
        $refused = refusal($entry);
        is($refused->{code} . $refused->{retry}, 'not_published0',
            'the reverse does not have it');
        finish($entry, $b);
        next;
    }

    open_service($entry, $name, 'stream-4');
    $refused = refusal($entry);
    is("$refused->{code} $refused->{retry}", 'not_published 0', $what);
    $entry->send('RESET');
    $entry->send('DONE');
}

ok(!$plain->read(timeout => 0.1), 'who publishes nothing gets nothing');

# the last publisher is gone: the name is kept for a while, and users wait

$_->close() for $a, $more;
wait_log($relay, qr/"git\.example" has no publisher any more/);

open_service($entry, 'git.example', 'stream-5');
ok(!$b->read(timeout => 1.5), 'nobody else gets the name');

$a = agent('a', 'first', 1);
is($a->{ready}, 3, 'the list is asked for again');
publish($a, '20000', 'git.example', '20010', 'one.example');
my @frames = map { $a->read() } 1 .. 5;
is(scalar(grep { $_->{type} eq 'OPEN' } @frames), 1,
    'the user who has waited is served');
$a->send('REFUSE', refuse_payload(7, 0));
refusal($entry);
finish($entry, $a);

# with another list, the agent gives up what is not in it

$a->close();
$a = agent('a', 'first', 3);
publish($a, 'one.example');
is(results($a, 1), 'one.example:0', 'a shorter list');
is(results($b, 1, timeout => 20), 'git.example:0',
    'the name is free, and its next owner is told');

open_service($entry, 'git.example', 'stream-6');
ok($b->expect('OPEN'), 'and has the users');
$b->send('REFUSE', refuse_payload(7, 0));
refusal($entry);
finish($entry, $b);

# what is wrong

for my $case ([ 'an entry', 'entry', "\1\1a", 0 ],
    [ 'without a list', 'reverse', "\1\1a", 0 ],
    [ 'no name', 'reverse', "\1\0\0", 7 ],
    [ 'an address', 'reverse', "\1" . pack('C/a', '10.0.0.1'), 7 ],
    [ 'cut', 'reverse', "\1\3ab", 7 ])
{
    my ($name, $role, $payload, $list) = @$case;

    my $c = agent('b', 'wrong', $list, role => $role);
    $c->send('PUBLISH', $payload);
    isnt($c->wait_end(), 'timeout', "wrong: $name");
}

my $c = agent('b', 'many', 9);
$c->send('PUBLISH', "\0" . pack('C/a', 'a') x 500) for 1 .. 3;
isnt($c->wait_end(), 'timeout', 'too many names');
is(count_log($relay, qr/\[warn\].*publishes too many names/), 1, 'logged');


# An agent with its READY's flags; "list" undef: as an older one.

sub agent {
    my ($key, $name, $list, %opts) = @_;

    my $c = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $c->login(key => "$dir/$key", role => 'reverse',
        name => $name, group => 'lab',
        flags => defined $list ? "\0" . pack 'Q>', $list : '', %opts);

    die "not ready\n" if !$ready || $ready->{type} ne 'READY';
    $c->{ready} = ord substr $ready->{payload}, 3;
    return $c;
}


sub publish {
    my ($c, @names) = @_;
    $c->send('PUBLISH', "\1" . join '', map { pack 'C/a', $_ } @names);
}


sub results {
    my ($c, $n, %opts) = @_;
    my @results;

    while (@results < $n) {
        my $frame = $c->expect('PUBLISHED', %opts) or last;
        my ($code, $name) = unpack 'C C/a', $frame->{payload};
        push @results, "$name:$code";
    }

    return "@results";
}


sub open_service {
    my ($c, $name, $id) = @_;
    my ($host, $port) = $name =~ /^\d+$/ ? ('0.0.0.0', $name) : ($name, 443);

    $c->send('OPEN', open_payload(proto => 134, host => $host, port => $port,
        id => $id));
}


# the one that has a frame, first

sub ready_first {
    my (@clients) = @_;

    for (1 .. 300) {
        for my $c (@clients) {
            my $frame = $c->read(timeout => 0.1) or next;
            $c->{in} = $frame->{bytes} . $c->{in};
            return ($c);
        }
    }

    die "no client has a frame\n";
}


# DONE of the stream before may come first

sub refusal {
    my ($c) = @_;

    while (my $frame = $c->read()) {
        return $frame if $frame->{type} eq 'REFUSE';
    }

    return { code => 'nothing', retry => '' };
}


# a refused stream: both tunnels are idle again

sub finish {
    my ($entry, $reverse) = @_;

    $entry->send('RESET');
    $entry->send('DONE');

    while (my $frame = $reverse->read()) {
        last if $frame->{type} eq 'DONE';
    }

    $reverse->send('DONE');
}
