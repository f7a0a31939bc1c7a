#!/usr/bin/perl

# Tests for the page of trp_status: what it says of changes, to those who do not
# see the tables, and of what was refused while it was open.

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

my $t = Test::Nginx->new()->has(qw/ http /)->plan(11);

# an entry and a reverse of one name, as one machine may have them

my %status = status();
my @agents = @{ $status{agents} };

$agents[0]{name} = $agents[1]{name} = 'hall';
$agents[$_]{up} = JSON::PP::true for 0 .. 2;

my $b = open_page($t, %status);

###############################################################################

sub changed {
    write_status($t, %status);
    $b->value('page.soon(0), 1');
}


sub announced {
    my ($re, $name) = @_;

    ok($b->wait("/$re/.test(page.parts.announcer.textContent)"), $name)
        or diag($b->value('page.parts.announcer.textContent'));
}


sub attention {
    my ($re, $name) = @_;

    ok($b->wait("page.soon(0), /$re/.test(page.parts.problems.innerText)"),
        $name) or diag($b->value('page.parts.problems.innerText'));
}


# agents and relays

$agents[0]{up} = JSON::PP::false;
changed();
announced('^agent hall down$', 'first of one name is down');

$agents[0]{up} = JSON::PP::true;
changed();
announced('^agent hall up$', 'it is up');

$agents[1]{up} = $agents[2]{up} = JSON::PP::false;
changed();
announced('^agent hall, agent cairo down$', 'second of one name, and another');

$agents[1]{up} = $agents[2]{up} = JSON::PP::true;
$status{relays}[1]{state} = 'up';
changed();
announced('^agent hall, agent cairo, relay backup\.example\.net:4433 up$',
    'all are up');

# refusals

my $server = $status{servers}[0];

$server->{refused_agents_total} = { key => 5, group => 1 };
$status{time} += 10;
changed();
attention('refused 2 connections of agents in the last 10 s: key 2', 'refused');

$server->{rejected_certificates_total} = 1;
$status{turn}[0]{denied_total} += 2;
changed();
attention("rejected this relay's certificate 1 time in the last 10 s",
    'rejected certificates');
attention('denied 2 requests for TURN peers in the last 10 s', 'denied peers');

# the table is a new one: counters begin again

$status{since} = $status{time} + 1;
$status{time} += 2;
$server->{refused_agents_total} = { key => 1 };
changed();
attention('^Nothing.$', 'nothing is known to be new');

$status{time} += 3;
$server->{refused_agents_total} = { key => 2 };
changed();
attention('refused 1 connection of agents in the last 3 s: key 1',
    'refused again');

is_deeply([ $b->complaints() ], [], 'no complaints');
ok($b->value('page.parts.trouble.hidden'), 'no trouble');

###############################################################################
