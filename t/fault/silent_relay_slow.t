#!/usr/bin/perl

# trp_entry_next_timeout: a relay whose reverses are all busy answers PING, and
# keeps the users who wait for one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SilentRelay;

my $s = Test::Nginx::TRP::SilentRelay->new(tunnels => 1,
    entry => 'trp_entry_next_timeout 200ms;');

$s->start(5);

my $busy = $s->begin('first');
is(readline $busy, "a\n", 'before');

my @wait = map { $s->begin($_) } 'second', 'x' x 16384;

is(story($s->{ends}, qr/./, (qr/tx PING/, qr/rx PONG/) x 6), 'all',
    'asked and alive');

# the user in front of them leaves

close $busy;

is(join(' ', map { $s->answer($_) } @wait), 'a a', 'served there');
is($s->requests('b'), 0, 'and nowhere else');
is($s->found('a'), 0, 'never found silent');
