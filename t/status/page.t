#!/usr/bin/perl

# Tests for the page of trp_status: what it says of agents, relays and the rest,
# and that it follows what changes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Browser;
use Test::Nginx::TRP::Status;

my $missing = browser_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ http /)->plan(27);

my %status = status();
my $b = open_page($t, %status);

###############################################################################

# a cell's text: of a table, a row by its name, a column by its label

sub cell {
    my ($table, $name, $label) = @_;

    return $b->value(<<"EOS");
        (() => {
            const row = [ ...document.querySelectorAll('#$table tbody tr') ]
                .find(row => row.querySelector('.opener')
                    && row.querySelector('.opener').textContent === '$name');
            const cell = row && row.querySelector('[data-label="$label"]');

            return cell ? cell.textContent : 'none';
        })()
EOS
}


sub text {
    my ($selector) = @_;
    return $b->value("document.querySelector('$selector').textContent");
}


is(cell('agents', 'berlin', 'State'), 'up', 'agent is up');
is(cell('agents', 'cairo', 'State'), 'down', 'agent is down');
is(cell('agents', 'berlin', 'Key'), 'ops@berlin', 'key comment');
is(cell('agents', 'berlin', 'Address'), '203.0.113.2:40001', 'address');
is(cell('agents', 'berlin', 'Since'), '2 h 46 min', 'since');
is(cell('agents', 'berlin', 'Tunnels'), '6, 4 idle', 'tunnels');
is(cell('agents', 'cairo', 'Last loss'), '1 min 26 s ago: peer is silent',
    'last loss and why');

is(cell('groups', 'office', 'Entries'), '1', 'group');
is(cell('services', 'wiki.example.org', 'Streams so far'), '812', 'service');
is(cell('servers', '0.0.0.0:4433', 'Certificate expires'), 'in 61 d',
    'certificate');
is(cell('relays', 'backup.example.net:4433', 'Next try'), 'in 8 s',
    'relay of an agent');
is(cell('routes', '127.0.0.1:5432', 'Destination'), 'db.internal:5432',
    'route');
is(cell('reverses', 'zurich', 'Group'), 'office', 'reverse');
is(cell('turn', 'example.org', 'Allocations'), '14', 'TURN');
is(cell('turn_users', 'alice', 'Denied'), '1', 'user of TURN');
is(cell('socks5', '127.0.0.1:1080', 'Streams'), '3', 'SOCKS5');
is(cell('socks5_users', 'carol', 'Streams'), '3', 'user of SOCKS5');
is(cell('workers', '4711', 'State'), 'up', 'worker');

like(text('#problems'), qr/1 agent down: cairo/, 'agents that are down');
like(text('#problems'), qr/backup\.example\.net:4433 is waiting: connect/,
    'and relays');


# what changes: an agent that was down comes back, another one is lost, a third
# one is new, a table is empty

my %next = status(agents => 4, seconds => 20);

@{$next{agents}[2]}{qw/ up since /} = (JSON::PP::true, $next{time});
@{$next{agents}[1]}{qw/ up since lost why /} = (JSON::PP::false, $next{time},
    $next{time}, 'connection was reset');
$next{services} = [];

write_status($t, %next);

$b->wait("page.status.time === $next{time}");

is(cell('agents', 'berlin', 'State'), 'down', 'agent is lost');
is(cell('agents', 'cairo', 'State'), 'up', 'agent is back');
is(cell('agents', 'dakar', 'State'), 'up', 'agent is new');
like(cell('agents', 'amsterdam', 'Received'), qr!^[\d.]+ k?M?B/s$!, 'rate');
is($b->value("document.getElementById('services').hidden"), 1,
    'empty table is hidden');

ok($b->wait("document.getElementById('announcer').textContent === "
    . "'agent berlin down; agent cairo, agent dakar up'"), 'change is told');

is_deeply([ $b->complaints() ], [], 'no complaints');

###############################################################################
