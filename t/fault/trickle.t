#!/usr/bin/perl

# Tests for faults: what goes through the tunnels of entry, relay or reverse, or
# to the destination and back, comes in single bytes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

my %all = map { $_ => 'ok' } qw/ idle held new transfer first last /;

# a record of TLS may take its time, during which nothing seems to come

fault_test('1 byte at a time',
    proxy => 1,
    bytes => 50,
    proxy_timeout => '60s',
    act => 'during',
    begin => sub { $_[0]->proxy('trickle') },
    over => sub { $_[0]->proxy('pass') },
    expect => { map { $_ => \%all } qw/ entry relay reverse destination / },
);
