#!/usr/bin/perl

# The demo runs to its end when nobody is there to press Ctrl-C.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; }

plan(skip_all => 'the demo runs with its own modules only')
    if $ENV{STATIC} || $ENV{TRP_PRELOAD} || $ENV{NGINX_SRC};

plan(tests => 4);

local $ENV{SANITIZE};
delete $ENV{SANITIZE};

my $out = `sh ../../examples/demo.sh 2>&1 < /dev/null`;

is($?, 0, 'exit status') or diag($out);
like($out, qr/Hello from behind the NAT/, 'curl');
like($out, qr/^(\w{64})  there\n\1  back$/m, 'scp');

# the first line is that of curl; a client of ssh may leave before it has read
# everything, and then its connection was reset

my @lines = $out =~ /^((?:entry|relay|reverse): 127\.0\.0\.1 ->.*, group .*)/mg;

ok(@lines == 12 && 3 == grep({ $lines[$_] =~ / ok, / } 0, 4, 8),
    'access logs') or diag($out);
