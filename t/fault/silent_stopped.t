#!/usr/bin/perl

# trp_relay_next_timeout: the worker process of an agent is stopped, and finds
# what users have sent when it goes on.  TCP has acknowledged all of it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;

my $s = Test::Nginx::TRP::Silent->new(agents => [ 'a', 'b backup' ]);

$s->start(8);

is($s->user(), 'a', 'before');

# one request, one that is complete, one as long as may be sent early

$s->stop_agent('a');

my $half = $s->begin();
my $whole = $s->begin();
my $long = $s->begin('x' x 16384);
shutdown $whole, 1;

is($s->answer($half), 'b', 'request');
is($s->answer($whole), 'b', 'request and end');
is($s->answer($long), 'b', 'long request');
is(count_log($s->{relay}, qr/tunnel's peer is silent/), 0,
    'sooner than by heartbeats');

# what has arrived there is not carried out, as the end of the tunnel follows

$s->go_on();

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'serves again');
is($s->wait_requests('a', 2), 2, 'its users, and no others');
is($s->wait_requests('b', 3) >= 3, 1, 'those of the backup');
