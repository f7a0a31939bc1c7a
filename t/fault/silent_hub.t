#!/usr/bin/perl

# trp_relay_next_timeout with "trp_entry local": agents of the relay's own users
# fall silent.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;

silent_network();

my $s = Test::Nginx::TRP::Silent->new(
    agents => [ 'a', 'b backup' ],
    local => 1,
    relay => 'trp_relay_next_timeout 500ms;',
    reverse => 'proxy_connect_timeout 60s;',
);

$s->start(16);

is($s->user(), 'a', 'before');

# its cable is pulled

$s->pull('a');

is($s->user(), 'b', 'the backup serves');
is($s->found('a'), 1, 'the other one was found silent');
is(join(' ', map { $s->user() } 1 .. 4), 'b b b b', 'the next users');
is($s->found('a'), 1, 'not asked any more');

$s->plug_in('a');

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'serves again');
is($s->wait_requests('a', 2), 2, 'its users, and no others');

# its process is stopped

$s->stop_agent('a');
is($s->user(), 'b', 'stopped');
$s->go_on();

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'goes on');
is($s->wait_requests('a', 3), 3, 'its users, and no others');

# its service is slow

my $found = $s->found('a');
my $pings = count_log($s->{agents}{a}, qr/rx PING/);

$s->block('a');

my @slow = ($s->begin(), $s->begin('x' x 16384));

ok(wait_for(sub {
    count_log($s->{agents}{a}, qr/rx PING/) >= $pings + 8 }), 'asked');

$s->unblock('a');

is(join(' ', map { $s->answer($_) } @slow), 'a a', 'served there');
is($s->wait_requests('a', 5), 5, 'once');
is($s->found('a'), $found, 'not found silent');

# and is so when it stops

$s->block('a');
my $late = $s->begin();
$pings = count_log($s->{agents}{a}, qr/rx PING/);
wait_for(sub { count_log($s->{agents}{a}, qr/rx PING/) >= $pings + 2 });
$s->stop_agent('a');
is($s->answer($late), 'b', 'served elsewhere');

$s->unblock('a');
$s->go_on();
wait_for(sub { $s->user() eq 'a' }, 60);
is($s->wait_requests('a', 6), 6, 'only there');
