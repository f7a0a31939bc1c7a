#!/usr/bin/perl

# Tests for faults: a worker of entry, relay or reverse, or the destination, is
# stopped for longer than the heartbeats, and continued.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

# Connections that are there go on; who comes now waits.  Nothing else ends
# them, however long a busy machine takes for all this.

my %served = map { $_ => 'ok' } qw/ idle held new transfer first last /;

fault_test('SIGSTOP for longer than the heartbeat',
    begin => sub { $_[0]->stop_processes() },
    time => 3,
    open_timeout => '60s',
    connect_timeout => '60s',
    proxy_timeout => '60s',
    over => sub { $_[0]->continue_processes() },
    expect => { map { $_ => \%served } qw/ entry relay reverse destination / },
);
