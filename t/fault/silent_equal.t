#!/usr/bin/perl

# trp_relay_next_timeout: one of two equal agents falls silent, with many users
# at once.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;

silent_network();

my $s = Test::Nginx::TRP::Silent->new(agents => [ 'a', 'b' ], tunnels => 8,
    relay => 'trp_relay_next_timeout 500ms;');

$s->start(8);

like(join('', map { $s->user() } 1 .. 4), qr/a/, 'one of them');

my $before = $s->wait_requests('a', 1);

$s->pull('a');

my @users = map { $s->begin() } 1 .. 6;

is(join(' ', map { $s->answer($_) } @users), 'b b b b b b',
    'the other one serves all');

my $found = $s->found('a');
ok($found >= 1 && $found <= 6, 'found silent');
is(join(' ', map { $s->user() } 1 .. 4), 'b b b b', 'the next users');
is($s->found('a'), $found, 'nobody else waits for it');

$s->plug_in('a');

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'it is back');
is($s->requests('a') >= $before, 1, 'its users');
is(count_log($s->{relay}, qr/reverse "b" .* does not answer/), 0,
    'the other one was never silent');
