#!/usr/bin/perl

# trp_relay_next_timeout: the destination of an agent is slow.  While the agent
# answers the relay its users wait there.

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
    relay => 'trp_relay_next_timeout 500ms;',
    reverse => 'proxy_connect_timeout 60s;',
);

$s->start(5);
$s->block('a');

# the agent answers PING, again and again

my @slow = map { $s->begin($_) } 'request', 'x' x 16384;
my $whole = $s->begin();
shutdown $whole, 1;

is(story($s->{agents}{a}, qr/./, (qr/rx PING/, qr/tx PONG/) x 12), 'all',
    'asked and alive');

$s->unblock('a');

is(join(' ', map { $s->answer($_) } @slow, $whole), 'a a a', 'served there');
is($s->wait_requests('a', 3), 3, 'once');
is($s->requests('b'), 0, 'and nowhere else');
is($s->found('a'), 0, 'never found silent');
