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
is(scalar(() = $out =~ /^(?:entry|relay|reverse): 127\.0\.0\.1 ->.* ok,/mg),
    12, 'access logs');
