#!/usr/bin/perl

# Tests for faults: all packets of the tunnels of entry, relay or reverse, or
# of the connections to the destination, get lost.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

fault_network();

my %aborted = map { $_ => 'abort' } qw/ idle held new transfer first last /;

fault_test('black hole',
    begin => sub { $_[0]->filter('drop') },
    over => sub { $_[0]->unfilter() },
    expect => { map { $_ => \%aborted } qw/ entry relay reverse destination / },
);
