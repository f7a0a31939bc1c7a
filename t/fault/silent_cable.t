#!/usr/bin/perl

# trp_relay_next_timeout: the cable of an agent is pulled, and another one
# serves the users who come.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;

silent_network();

my $s = Test::Nginx::TRP::Silent->new(agents => [ 'a', 'b backup' ]);

$s->start(10);

is($s->user(), 'a', 'before');

$s->pull('a');

is($s->user(), 'b', 'the backup serves');
is($s->found('a'), 1, 'the other one was found silent');
is(count_log($s->{relay}, qr/tunnel's peer is silent/), 0,
    'sooner than by heartbeats');

# nobody else waits for it

is(join(' ', map { $s->user() } 1 .. 8), 'b ' x 7 . 'b', 'the next users');
is($s->found('a'), 1, 'not asked any more');

# it is back

$s->plug_in('a');

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'serves again');
is($s->wait_requests('a', 2), 2, 'its users, and no others');
is($s->wait_requests('b', 9) >= 9, 1, 'those of the backup');
is($s->found('a'), 1, 'found once');
