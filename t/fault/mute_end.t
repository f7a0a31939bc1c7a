#!/usr/bin/perl

# Tests for faults: as mute.t, and half-closed connections are completed
# while nobody answers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

# A tunnel whose stream has ended cleanly waits for the far end to confirm it,
# but not for ever: 360 heartbeats.

my %aborted = map { $_ => 'abort' } qw/ idle held new transfer first last /;

fault_test('accepts but never answers, at the end',
    proxy => 1,
    heartbeat => '100ms',
    proxy_timeout => '3s',
    release => { destination => 'over' },
    begin => sub { $_[0]->proxy('mute') },
    over => sub { $_[0]->proxy('pass') },
    expect => { map { $_ => \%aborted } qw/ entry relay reverse destination / },
);
