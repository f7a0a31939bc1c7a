#!/usr/bin/perl

# The QUIC engine, client and server, in memory: engine/engine_test.c, which is
# built here, with sanitizers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use File::Basename qw/ dirname /;

use Test::Nginx;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

my ($module) = ($ENV{TEST_NGINX_GLOBALS} || '')
    =~ /load_module (\S+trp_relay\S+);/;
plan(skip_all => 'not with modules in nginx itself') if !defined $module;

my $objs = dirname($module);
my $test = "$objs/quic/engine_test";

system("make -s -C ../.. OBJS=$objs $test") == 0
    or die "can't build engine_test\n";

delete $ENV{LD_PRELOAD};
$| = 1;
exec $test or die "can't run engine_test: $!\n";
