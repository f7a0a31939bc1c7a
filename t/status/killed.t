#!/usr/bin/perl

# Workers of a relay that are killed leave nothing behind in its status: no
# agents, no workers.  An agent that is back soon is not worth a line.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http
    socket_ssl_alpn /);

status_relay_conf($relay, workers => 2);
trp_cert($relay);
$relay->write_file('authorized_keys', scalar trp_keys($relay, 'key'));

$relay->run()->plan(22);

my $one = agent('one');
my $two = agent('two');

is(rows_of('agents', { up => 1, tunnels => 1 }), 2, 'agents');
is(rows_of('groups', { reverses => 2 }), 1, 'their group');
is(rows_of('workers', {}), 2, 'workers');

my @old = worker_pids($relay);

kill 'KILL', @old;

ok(wait_for(sub { new_workers(@old) == 2 }), 'other workers');
is(rows_of('workers', { pid => qr/^(?:$old[0]|$old[1])$/ }), 0,
    'none that is dead');
is(rows_of('agents', { up => 1 }), 0, 'no ghosts');
is(rows_of('agents', { up => 0, tunnels => 0 }), 2, 'agents that are gone');
is(rows_of('groups', {}), 0, 'no group');
is(rows_of('agents', { losses_total => 0 }), 2, 'not yet lost');

# one is back

$one = agent('one');

ok(row_is('agents', { name => 'one', up => 1, tunnels => 1,
    tunnels_total => 2 }), 'back');

# the other one is not

ok(wait_log($relay, qr/\[notice\].* reverse "two" .* is gone: the relay's worker was killed, it has not come back for 1\d s, group: "0"$/),
    'not back');
ok(row_is('agents', { name => 'two', up => 0, losses_total => 1,
    why => qr/killed/, lost => sub { $_[0] } }), 'it is lost now');
is(rows_of('agents', { name => 'one', losses_total => 0, lost => undef }), 1,
    'the other one was not');

$two = agent('two');

ok(wait_log($relay, qr/\[notice\].* reverse "two" .* is back after/), 'back');
is(notices(), 4, 'two have come, one is gone, and back');

# killed again and again, with tunnels that come all the time

for (1 .. 5) {
    my @pids = worker_pids($relay);
    my @clients = map { Test::Nginx::TRP::Client->new(port => port(8443)) }
        1 .. 3;

    kill 'KILL', @pids;
    wait_for(sub { new_workers(@pids) == 2 });
    eval { agent($_) } for qw/ one two /;
}

ok(wait_for(sub { rows_of('agents', { up => 1 }) == 0 }), 'all are gone');
is(rows_of('workers', {}), 2, 'as many workers as at first');

$one = agent('one');
$two = agent('two');

is(rows_of('agents', { up => 1, tunnels => 1 }), 2, 'agents');
is(rows_of('agents', {}), 2, 'no others');
is(rows_of('groups', { reverses => 2 }), 1, 'their group');
is(status()->{zone}{unlisted_total}, 0, 'there was room for all');

$relay->todo_alerts();
is(count_log($relay, qr/\[alert\](?!.* exited on signal 9)/), 0,
    'no other alerts');


sub agent {
    my ($name) = @_;

    return raw_agent(key => $relay->testdir() . '/key', name => $name);
}


# the workers that are none of these, and in the status

sub new_workers {
    my %old = map { $_ => 1 } @_;
    my @rows = eval { rows_of('workers', {}) };

    return grep { !$old{$_->{pid}} } @rows;
}


sub notices {
    return scalar grep { /\[notice\].*"(?:one|two)"/ }
        split /\n/, $relay->read_file('error.log');
}
