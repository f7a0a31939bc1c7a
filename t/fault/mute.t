#!/usr/bin/perl

# Tests for faults: tunnels of entry, relay or reverse, or connections to the
# destination, are there and can be made, but nobody answers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

# TCP knows nothing of it: the timeouts of the proxies do.  Nobody completes
# anything here, see mute_end.t.

my %aborted = map { $_ => 'abort' } qw/ idle held new transfer first last /;

fault_test('accepts but never answers',
    proxy => 1,
    go_on => 'over',
    proxy_timeout => '3s',
    release => { destination => 'over' },
    begin => sub { $_[0]->proxy('mute') },
    over => sub { $_[0]->proxy('pass') },
    expect => { map { $_ => \%aborted } qw/ entry relay reverse destination / },
);
