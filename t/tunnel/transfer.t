#!/usr/bin/perl

# Tests for transfers: every byte, in both directions at once, with buffers
# of several sizes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx::TRP::Transfers;

test_transfers();
