#!/usr/bin/perl

# trp_entry_next_timeout: a silent relay that is the only one keeps its users.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SilentRelay;

my $s = Test::Nginx::TRP::SilentRelay->new(alone => 1,
    entry => 'trp_entry_next_timeout 200ms;');

$s->start(4);

is($s->user(), 'a', 'before');

$s->stop_agent('a');

my $asks = $s->begin('first');
my $quiet = connect_to(port(8080), timeout => 60);

is(story($s->{ends}, qr/./, (qr/tx PING/) x 2), 'all', 'asked');

$s->go_on();

is(join(' ', map { $s->answer($_) } $asks, $quiet), 'a a', 'served late');
is($s->found('a'), 0, 'nothing else is tried');
