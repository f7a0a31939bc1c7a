#!/usr/bin/perl

# Tests for transfers on QUIC: every byte, in both directions at once, with
# buffers of several sizes; entry and reverse have one connection each.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx::TRP::QUIC;
use Test::Nginx::TRP::Transfers;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

test_transfers(quic => 1);
