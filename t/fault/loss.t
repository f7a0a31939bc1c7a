#!/usr/bin/perl

# Tests for faults: half of the packets of the tunnels of entry, relay or
# reverse, or of the connections to the destination, get lost for 2 seconds.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

fault_network();

fault_test('half of all packets lost for 2 s',
    begin => sub { $_[0]->filter('numgen random mod 2 0 drop') },
    time => 2,
    over => sub { $_[0]->unfilter() },
);
