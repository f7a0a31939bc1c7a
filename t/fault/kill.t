#!/usr/bin/perl

# Tests for faults: a worker of entry, relay or reverse, or the destination, is
# killed.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

# who is not yet connected to the destination is connected once more

my %served = (idle => 'abort', held => 'ok', new => 'ok', transfer => 'abort',
    first => 'abort', last => 'abort');
my %gone = (%served, held => 'abort');

fault_test('SIGKILL of a worker',
    begin => \&begin,
    time => 0,
    alerts => qr/ exited on signal 9$/,
    expect => {
        entry => \%gone,
        hub => \%gone,
        relay => \%served,
        reverse => \%served,
        destination => { %gone, new => 'abort' },
    },
);


sub begin {
    my ($f) = @_;

    if ($f->{role} eq 'destination') {
        $f->kill_destination('main', 'held');
        return;
    }

    my @pids = $f->pids();

    kill 'KILL', @pids;
    wait_for(sub { !kill 0, @pids });
}
