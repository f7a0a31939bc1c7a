#!/usr/bin/perl

# Tests for the page of trp_status: rates, made of counters, and their charts.
#
# With TRP_PICTURES=DIRECTORY, pictures of the page are left there.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use JSON::PP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Browser;
use Test::Nginx::TRP::Status;

my $missing = browser_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ http /)->plan(17);

my $b = open_page($t, status());
my $json = JSON::PP->new()->canonical()->allow_nonref();

###############################################################################

# The page reads nothing more by itself, but gets what it would have read, at
# these seconds.

sub feed {
    my ($second, %status) = @_;
    $b->value('page.update(' . $json->encode(\%status) . ", 1000 * $second)");
}


sub cell {
    my ($label) = @_;
    return $b->value("document.querySelector("
        . "'#routes [data-label=\"$label\"]').textContent");
}


sub path {
    my ($class) = @_;
    return $b->value("document.querySelector('#routes .chart .$class')"
        . ".getAttribute('d')");
}


# a route's counters at some time

sub route {
    my ($received, $sent, %route) = @_;
    my %status = status();

    @{$status{routes}[0]}{qw/ received_bytes_total sent_bytes_total /}
        = ($received, $sent);
    @{$status{routes}[0]}{keys %route} = values %route;

    return %status;
}


$b->value('page.pause(true)');
$b->wait('!page.reading');
$b->value('page.history = new Rates(); page.history.round = 0; true');

feed(10000, route(5000, 100));
is(cell('Received'), "\x{2013}", 'nothing is known of one reading');
is(path('received'), '', 'and nothing is drawn');

feed(10002, route(25000, 100));
is(cell('Received'), '10 kB/s', 'received');
is(cell('Sent'), '0 B/s', 'sent');
is(path('received'), 'M120.0 1.0L120.0 23L120.0 23Z', 'one value');

feed(10004, route(35000, 1100));
is(cell('Received'), '5.0 kB/s', 'less');
is(cell('Sent'), '500 B/s', 'more');
is(path('received'), 'M119.2 1.0L120.0 12.0L120.0 23L119.2 23Z', 'an area');
is(path('sent'), 'M119.2 23.0L120.0 21.9', 'a line of the same scale');

feed(10014, route(135000, 1100));
is(cell('Received'), '10 kB/s', 'a longer time between readings');

# nginx has been started anew, the row is missing, it is there again

feed(10016, route(10, 10));
is(cell('Received'), "\x{2013}", 'counters have begun again');
feed(10018, route(2010, 10));
is(cell('Received'), '1.0 kB/s', 'and go on');

feed(10020, %{{ route(0, 0), routes => [] }});
feed(10022, route(9000000, 9000000));
is(cell('Received'), "\x{2013}", 'row was away');
feed(10024, route(9002000, 9000000));
is(() = path('received') =~ /M/g, 3, 'gaps are gaps');

# five minutes, no more

my $next = $json->encode({ route(9002000, 9000000) });

$b->value(<<"EOS");
    for (let i = 13; i <= 200; i++) {
        const next = $next;

        next.routes[0].received_bytes_total += 4000 * i;
        page.update(next, 1000 * (10000 + 2 * i));
    }
EOS

my $points = () = path('sent') =~ /[ML]/g;
is($points, 151, 'five minutes');
is($b->value('page.history.rows.size'), $b->value('[ ...page.history.rows'
    . '.values() ].filter(r => r.round === page.history.round).length'),
    'nothing is kept of what is gone');

is_deeply([ $b->complaints() ], [], 'no complaints');


if ($ENV{TRP_PICTURES}) {
    pictures($_) for 3, 1000;
}


sub pictures {
    my ($agents) = @_;
    my $name = "$ENV{TRP_PICTURES}/status-$agents";

    write_status($t, status(agents => $agents));
    $b->open('about:blank');
    $b->size(1280, 800);
    $b->open(page_url());
    $b->wait('Boolean(page.status)');
    $b->value('page.pause(true)');
    $b->wait('!page.reading');
    $b->value('page.history = new Rates(); page.history.round = 0; '
        . 'page.parts.live.className = "live fresh"; '
        . 'page.parts.live.textContent = "live"; '
        . 'page.parts.pause.textContent = "Pause"; '
        . 'page.tables.get("agents").resort("received", true); true');
    feed(10000 + $_, status(agents => $agents, seconds => $_))
        for map { 2 * $_ } 0 .. 150;

    $b->picture("$name.png");
    $b->media('prefers-color-scheme' => 'dark');
    $b->value("document.querySelector('#agents .opener').click(); "
        . "document.getElementById('agents')"
        . ".scrollIntoView({ behavior: 'instant' })");
    $b->picture("$name-dark.png");
    $b->media('prefers-color-scheme' => 'light');
    $b->value("document.querySelector('#agents .opener').click()");
    $b->size(390, 844);
    $b->value("scrollTo({ top: 0, behavior: 'instant' })") if $agents == 3;
    $b->picture("$name-phone.png");
}

###############################################################################
