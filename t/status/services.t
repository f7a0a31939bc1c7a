#!/usr/bin/perl

# Tests for what reverses publish, and for several workers, in the status of a
# relay: groups in all of them, and agents with tunnels in one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client qw/ open_payload /;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http
    socket_ssl_alpn /);

status_relay_conf($relay, workers => 2);
trp_cert($relay);

my ($one, $two) = trp_keys($relay, 'one', 'two');

$relay->write_file('authorized_keys', "permitlisten=\"*\" $one\n$two");
$relay->run()->plan(19);

# services: two publishers with one key

my @publishers = map { publisher($_) } 'a', 'b';

my $s = row_is('services', { name => 'web.example', agents => 2 });

is($s->{group}, '0', 'group');
is($s->{comment}, 'one', 'comment');
is($s->{streams}, 0, 'no streams');
is(rows_of('services', {}), 1, 'one service');

# a stream to it

my $entry = agent('door', role => 'entry', key => 'two');
$entry->send('OPEN', open_payload(host => 'web.example', port => 443,
    proto => 134));

ok(row_is('services', { name => 'web.example', streams => 1,
    streams_total => 1 }), 'a stream');
ok(row_is('agents', { name => 'door', streams => 1, idle => 0 }),
    'of the entry');
ok(row_is('groups', { name => '0', streams => 1, entries => 1,
    reverses => 2 }), 'in the group');

$entry->close();

ok(row_is('services', { name => 'web.example', streams => 0 }), 'it is over');

$_->close() for @publishers;

ok(wait_for(sub { rows_of('services', {}) == 0 }), 'nobody publishes');

# a stream without a reverse

my $waits = agent('waits', role => 'entry', group => 'lonely');
$waits->send('OPEN', open_payload(host => '192.0.2.1', port => 80));

ok(row_is('groups', { name => 'lonely', waiting => 1, reverses => 0,
    entries => 1 }), 'a stream waits');

$waits->send('RESET', '');

ok(row_is('groups', { name => 'lonely', waiting => 0, streams => 0,
    streams_total => 1 }), 'no longer');
is((rows_of('groups', { name => 'lonely' }))[0]{refused_streams_total}{failed},
    undef, 'its user has left: nothing was refused');
$waits->close();

# groups in both workers

my @agents = map { agent("n$_", group => "g$_") } 1 .. 8;

is(rows_of('agents', { name => qr/^n/, up => 1, tunnels => 1 }), 8, 'agents');
is(rows_of('groups', { name => qr/^g\d/, reverses => 1 }), 8, 'groups');

# one agent in a group twice, with two keys: two agents

push @agents, map { agent('same', group => 'g1', key => $_) } 'one', 'two';

is(rows_of('agents', { name => 'same' }), 2, 'two keys');
ok(row_is('groups', { name => 'g1', reverses => 3 }), 'three in the group');
ok(row_is('servers', { tunnels => scalar @agents }), 'all their tunnels');

$_->close() for @agents;

ok(wait_for(sub { rows_of('agents', { up => 1 }) == 0 }), 'all are gone');
ok(wait_for(sub { rows_of('groups', {}) == 0 }), 'so are their groups');


sub agent {
    my ($name, %opts) = @_;
    my $key = delete $opts{key} || 'two';

    return raw_agent(key => $relay->testdir() . "/$key", name => $name, %opts);
}


sub publisher {
    my ($name) = @_;
    my $c = agent($name, key => 'one', flags => "\0" . pack 'Q>', 1);

    $c->send('PUBLISH', "\1" . pack 'C/a', 'web.example');
    $c->expect('PUBLISHED') or die "not published\n";

    return $c;
}
