#!/usr/bin/perl

# Tests for faults: all tunnels of entry, relay or reverse, or the connections
# to the destination, are reset.

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

fault_test('TCP reset of the tunnel',
    proxy => 1,
    begin => \&begin,
    time => 0,
    expect => {
        entry => \%served,
        relay => \%served,
        reverse => \%served,
        destination => { %served, held => 'abort' },
    },
);


sub begin {
    my ($f) = @_;

    $f->proxy('reset');

    # who is being connected is reset, too

    $f->kill_destination('held') if $f->{role} eq 'destination';
}
