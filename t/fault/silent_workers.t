#!/usr/bin/perl

# trp_relay_next_timeout: one of two worker processes of an agent is stopped.
# Its tunnels are not used; those of the other one are.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;

my $s = Test::Nginx::TRP::Silent->new(agents => [ 'a', 'b backup' ],
    workers => 2);

$s->start(7);
$s->stop_agent('a', 1);

# all tunnels at once

my @users = map { $s->begin() } 1 .. 8;

my @answers = map { $s->answer($_) } @users;
my $moved = grep { $_ eq 'b' } @answers;

like("@answers", qr/^[ab](?: [ab]){7}\z/, 'all are served');
ok($moved >= 1 && $moved <= 4, 'some of them by the other agent');
is($s->found('a'), $moved, 'found silent');
is(join(' ', map { $s->user() } 1 .. 4), 'a a a a', 'the next users');
is($s->found('a'), $moved, 'nobody else waits');
is($s->wait_requests('a', 12 - $moved), 12 - $moved, 'served once');

$s->go_on();

ok($s->ready('a', 1 + $moved / 8), 'its tunnels are back');
