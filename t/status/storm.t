#!/usr/bin/perl

# Workers are killed while they change the table of an operator's view, most of
# them while they hold its lock.  The table is whole after that: each row is
# there once, nobody is left in it, and there is as much room as before.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw/ sleep /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Rows;

use constant KILLS => 20;

my $t = Test::Nginx->new()->has(qw/ http /);

plan(skip_all => 'modules are not dynamic') if !rows_module($t, 'storm');

status_conf($t, main => <<'EOM');
worker_processes 3;
load_module %%TESTDIR%%/storm.so;
storm 256k %%TESTDIR%%/calm;
EOM

$t->run()->plan(10);

my $whole = 0;

for (1 .. KILLS) {
    my @pids;
    wait_for(sub { @pids = worker_pids($t) });

    sleep rand 0.02;
    kill 'KILL', $pids[rand @pids];

    # read meanwhile, too

    $whole += eval { whole() } || 0;
}

cmp_ok($whole, '>', KILLS / 2, 'what is read meanwhile is whole');

$t->write_file('calm', '');

ok(wait_for(sub { !grep { $_->{up} } agents() }), 'nobody is left');
is(worker_pids($t), 3, 'three workers');
is(@{status()->{workers}}, 3, 'in the table, too');

my @agents = agents();
my %seen;
$seen{$_->{name}}++ for @agents;

is_deeply([ grep { $seen{$_} > 1 } keys %seen ], [], 'each row is there once');
is_deeply([ grep { !/^(?:shared-\d+|own-\d+-\d+)\z/ } keys %seen ], [],
    'names are whole');
is_deeply([ grep { $_->{tunnels} || $_->{group} ne 'group'
    || $_->{key} ne 'key' || $_->{role} ne 'reverse' } @agents ], [],
    'and so is the rest');

my $zone = status()->{zone};

cmp_ok(@agents, '>=', $zone->{rows} - 8, 'all rows can be used');

$t->todo_alerts();

is(count_log($t, qr/\[alert\](?!.* (?:exited on signal 9|was locked by))/), 0,
    'no alerts');
is(count_log($t, qr/exited on signal (?!9\b)/), 0, 'none has crashed');


sub status { return status_json(http_get('/trp/status.json')) }


sub agents { return @{status()->{agents}} }


# names of shared rows are there once even in a storm; own ones always

sub whole {
    my %n;
    $n{$_->{name}}++ for agents();

    return !grep { !/^(?:shared-\d+|own-\d+-\d+)\z/ } keys %n;
}
