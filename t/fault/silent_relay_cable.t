#!/usr/bin/perl

# trp_entry_next_timeout: the cable of a relay is pulled, and another one serves
# the users who come.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;
use Test::Nginx::TRP::SilentRelay;

silent_network();

my $s = Test::Nginx::TRP::SilentRelay->new();

$s->start(9);

is($s->user(), 'a', 'before');

$s->pull('a');

my @users = map { $s->begin("request $_") } 1 .. 2;

is(join(' ', map { $s->answer($_) } @users), 'b b', 'the other one serves');
is(count_log($s->{ends}, qr/tunnel's peer is silent/), 0,
    'sooner than by heartbeats');

my $found = $s->found('a');
ok($found, 'the relay was found silent');

# nobody else waits for it

is(join(' ', map { $s->user() } 1 .. 8), 'b ' x 7 . 'b', 'the next users');
is($s->found('a'), $found, 'not asked any more');

# it is back

$s->plug_in('a');

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'serves again');
is($s->wait_requests('a', 2), 2, 'its users, and no others');
is($s->wait_requests('b', 10) >= 10, 1, 'those of the other one');
