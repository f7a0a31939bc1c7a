#!/usr/bin/perl

# trp_relay_next_timeout: an agent falls silent while it waits for a slow
# destination.  Its users are served elsewhere, and only there, although the
# destination answers while the agent is away.

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

$s->start(6);
$s->block('a');

my @users = map { $s->begin($_) } 'request', 'x' x 16384;
my $whole = $s->begin();
shutdown $whole, 1;

is(story($s->{agents}{a}, qr/./, (qr/rx PING/, qr/tx PONG/) x 6), 'all',
    'alive at first');

$s->stop_agent('a');

is(join(' ', map { $s->answer($_) } @users, $whole), 'b b b',
    'served elsewhere');

# when it goes on it finds connections, and the ends of the tunnels

$s->unblock('a');
ok(wait_for(sub { tcp_count(port(8091), 'ESTABLISHED') == 3 }),
    'its destination answers');

$s->go_on();

ok(wait_for(sub { $s->user() eq 'a' }, 60), 'serves again');
is($s->wait_requests('a', 1), 1, 'its users, and no others');
ok($s->wait_requests('b', 3) >= 3, 'those of the other one');
