#!/usr/bin/perl

# trp_entry_next_timeout: the worker process of a relay is stopped, and finds
# what users have sent when it goes on.  TCP has acknowledged all of it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SilentRelay;

my $s = Test::Nginx::TRP::SilentRelay->new(
    entry => 'trp_entry_next_timeout 1s; trp_entry_open_timeout 5m;');

$s->start(11);

is($s->user(), 'a', 'before');

$s->stop_agent('a');

# who has sent nothing yet is served elsewhere; who has might be served twice

my $quiet = connect_to(port(8080), timeout => 60);
my $asks = $s->begin('first');

is($s->answer($quiet), 'b', 'a user who waits for the service');
is(wait_log($s->{ends}, qr/may have opened the stream/), 1,
    'a user who has sent a request waits');
is(count_log($s->{ends}, qr/tunnel's peer is silent/), 0,
    'sooner than by heartbeats');

# nobody else waits for it

my $found = $s->found('a');

is(join(' ', map { $s->user() } 1 .. 8), 'b ' x 7 . 'b', 'the next users');
is($s->found('a'), $found, 'not asked any more');

# the user who has waited is served, once

$s->go_on();

is($s->answer($asks), 'a', 'served late');
ok(wait_log($s->{ends}, qr/relay answers again/), 'the relay is back');
ok(wait_for(sub { $s->user() eq 'a' }, 60), 'and serves again');
is($s->wait_requests('a', 3), 3, 'its users, and no others');
is($s->wait_requests('b', 8) >= 8, 1, 'those of the other one');
