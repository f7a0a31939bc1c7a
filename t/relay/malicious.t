#!/usr/bin/perl

# Tests for agents with a good key and bad intentions: the memory of a relay
# stays bounded, its worker alive, and others are served meanwhile.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use Socket qw/ SOL_SOCKET SO_RCVBUF /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

# the same rounds each time, TRP_ROUNDS and TRP_SEED say otherwise

my $rounds = $ENV{TRP_ROUNDS} || 300;

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
        listen 127.0.0.1:8443 ssl sndbuf=16k;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 3s;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', join "\n", trp_keys($relay, 'any'),
    'permitopen="127.0.0.1:80" ' . trp_keys($relay, 'narrow'));
$relay->run()->plan(2 * 8 + 14);

my $dir = $relay->testdir();
my $worker;
wait_for(sub { ($worker) = worker_pids($relay) });

my $open = frame('OPEN', open_payload(port => 80));
my $closed = frame('OPEN', open_payload(port => 81));
my $elsewhere = frame('OPEN', open_payload(port => 80, elsewhere => 1));

# somebody uses the relay meanwhile

my $user = agent('entry', 'users');
my $service = agent('reverse', 'users');

$user->write($open);
ok($service->expect('OPEN'), 'a stream');
$service->send('ACCEPT');
ok($user->expect('ACCEPT'), 'of others');

# AUTH

for (1, 65535) {
    my $c = client();
    is(login($c, role => 'reverse', weight => $_, backup => 1)->{type},
        'READY', "weight $_");
}

for ([ weight => 0 ], [ backup => 2 ]) {
    is(login(client(), role => 'reverse', @$_)->{code}, 'not_authorized',
        "@$_");
}

# who does not read gets no more answers

my $ends = frame('RESET') . frame('DONE');

never_reads('refused', 'narrow', "$closed$ends" x 400);
never_reads('refused in the next record', 'narrow', $closed,
    "$ends$closed" x 200);
never_reads('no reverse', 'any', "$elsewhere$ends" x 400);
never_reads('PING', 'any', frame('PING') x 4096);
never_reads('optional frames', 'any', frame(99, 'x' x 1024, 0x80) x 16);
never_reads('early data', 'any', $open, frame('DATA', 'x' x 16000));

# a destination that takes nothing, and one that sends to nobody

my $entry = agent('entry', 'full');
my $reverse = agent('reverse', 'full');

$entry->write($open);
$reverse->expect('OPEN');
$reverse->send('ACCEPT');

bounded('reverse does not read', $entry, frame('DATA', 'x' x 16000));
bounded('entry does not read', $reverse, frame('DATA', 'x' x 16000));
$_->abort() for $entry, $reverse;

# frames of one moment that must not follow each other

my $c = agent('entry', 'drain');
my $other = agent('reverse', 'drain');
$c->write(frame('DRAIN') . $open);
isnt($c->wait_end(), 'timeout', 'OPEN behind DRAIN');
$c = agent('entry', 'drain');
$other->send('DRAIN');
$c->write($open);
isnt($other->wait_end(), 'timeout', 'DRAIN of a reverse');
$c->abort();

# the same stream id for all, while a reverse refuses each

my @same = map { agent('entry', 'same') } 1 .. 8;
$other = agent('reverse', 'same');
$same[$_]->write(frame('OPEN', open_payload(port => 80, user_port => 1 + $_)))
    for 0 .. $#same;

my %answers;

while (my $frame = $other->expect('OPEN', timeout => 6)) {
    my $c = $same[$frame->{user_port} - 1];

    $other->write(frame('REFUSE', refuse_payload('refused', 1)));
    $answers{$c} = $c->read();
    $c->write(frame('RESET') . frame('DONE'));
    $other->expect('RESET');
    $other->expect('DONE');
}

$answers{$_} ||= $_->read() for @same;

# the reverse has refused it, so no other will do

is(scalar(grep { $_ && $_->{type} eq 'REFUSE' && !$_->{retry} }
    values %answers), 8, 'one stream id');
$_->abort() for @same, $other;

alive('before the rounds');

# whatever comes to mind

srand($ENV{TRP_SEED} || 1);

my %pool;
my $memory;

for my $n (1 .. 2 * $rounds) {
    random_round(\%pool);
    $memory = private_memory($worker) if $n == $rounds;
}

$_->abort() for grep { defined } values %pool;
alive('after the rounds');

SKIP: {
    skip 'memory is not given back under a sanitizer', 1
        if $ENV{ASAN_OPTIONS};

    cmp_ok(private_memory($worker) - $memory, '<', 1024, 'memory');
}

ok(wait_for(sub { grep { $_ == $worker } worker_pids($relay) }),
    'the same worker');
is(count_log($relay,
    qr/\[(?:warn\](?!.* is not authorized)|(?:crit|alert|emerg)\])/), 0, 'log');

# nginx would wait for their stream

$_->close() for $user, $service;


# Sends the first bytes, then the others again and again, each time as a
# record, until nobody takes them.

sub never_reads {
    my ($name, $key, @data) = @_;
    my $c = agent('entry', 'none', $key);

    $c->write(shift @data) if @data > 1;
    bounded($name, $c, @data);
    $c->abort();
}


sub bounded {
    my ($name, $c, $data) = @_;
    my $s = $c->socket();
    my $select = IO::Select->new($s);
    my $before = private_memory($worker);
    my $sent = 0;

    local $SIG{PIPE} = 'IGNORE';
    setsockopt $s, SOL_SOCKET, SO_RCVBUF, 4096;

    while ($sent < 32_000_000 && $select->can_write(2)) {
        my $n = $s->syswrite($data, 16384);
        last if !defined $n && !$!{EAGAIN};
        $data = substr($data, $n) . substr $data, 0, $n if $n;
        $sent += $n || 0;
    }

    alive($name);

    SKIP: {
        skip 'a sanitizer keeps memory', 1 if $ENV{ASAN_OPTIONS};

        cmp_ok(private_memory($worker) - $before, '<', 512, "$name: memory");
    }
}


# One of some entries and reverses does something: mostly what it may do.

sub random_round {
    my ($pool) = @_;
    my $who = qw/ entry reverse /[rand 2] . int rand 4;
    my $role = $who =~ /entry/ ? 'entry' : 'reverse';
    my $c = $pool->{$who} ||= agent($role, 'random');

    # what has come meanwhile

    while (my $frame = $c->read(timeout => 0.001)) {
        next if $frame->{type} ne 'OPEN' || rand() < 0.2;
        $c->send(rand() < 0.7 ? 'ACCEPT' : ('REFUSE',
            refuse_payload(1 + int rand 12, rand() < 0.5)));
    }

    my @frames = (
        [ 'DATA', 'x' x (1 + rand 16380) ], [ 'END' ], [ 'RESET' ],
        [ 'DONE' ], [ 'DONE' ], [ 'PING' ], [ 'PONG' ],
        [ 99, 'x' x rand 100, 0x80 ],
    );

    push @frames, [ 'OPEN', open_payload(port => 1 + rand 65535,
        id => pack('Q', int rand 8), elsewhere => int rand 2,
        retries => int rand 3) ] if $role eq 'entry';
    push @frames, [ 'ACCEPT' ], [ 'REFUSE', refuse_payload(7, 1) ]
        if $role eq 'reverse';

    my $data = join '', map { frame(@{$frames[rand @frames]}) }
        1 .. 1 + rand 4;

    $data .= frame('DRAIN') if rand() < 0.02;
    $data = substr $data, 0, rand length $data if rand() < 0.02;
    substr $data, rand length $data, 1, chr rand 256 if rand() < 0.02;

    my $ok = $c->write($data) && rand() > 0.02;

    if (!$ok || ($c->end() || 'timeout') ne 'timeout') {
        $c->abort();
        delete $pool->{$who};
    }
}


sub alive {
    my ($name) = @_;
    my $text = "are you there, $name?";

    $user->send('DATA', $text);
    my $one = $service->data(length => length $text);
    $service->send('DATA', $text);
    my $two = $user->data(length => length $text);

    is("$one $two", "$text $text", "$name: others are served");
}


sub client {
    return Test::Nginx::TRP::Client->new(port => port(8443));
}


sub login {
    my ($client, %opts) = @_;

    return $client->login(group => 'auth', %opts,
        key => "$dir/" . ($opts{key} || 'any')) || { type => 'nothing' };
}


sub agent {
    my ($role, $group, $key) = @_;
    my $agent = client();

    login($agent, key => $key, role => $role, group => $group)->{type}
        eq 'READY' or die "no tunnel\n";
    return $agent;
}
