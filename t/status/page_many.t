#!/usr/bin/perl

# Tests for the page of trp_status with a thousand agents: pages, search,
# filter, order, and that it stays quick.

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

my $t = Test::Nginx->new()->has(qw/ http /)->plan(28);

my $b = open_page($t, status(agents => 1000));

###############################################################################

my $agents = "document.getElementById('agents')";

sub names {
    return @{$b->value("[ ...$agents.querySelectorAll('.opener') ]"
        . '.map(e => e.textContent)')};
}


sub button {
    my ($place, $label) = @_;
    return "[ ...$agents.querySelectorAll('$place button') ]"
        . ".find(e => e.textContent === '$label')";
}


sub press {
    my ($place, $label) = @_;
    $b->value(button($place, $label) . '.click()');
}


sub text {
    my ($selector) = @_;
    return $b->value("$agents.querySelector('$selector').textContent");
}


sub search {
    my ($text) = @_;
    $b->value("page.parts.search.value = '$text'; page.search(); true");
}


is(scalar names(), 50, 'a page of rows');
is(text('.total'), '1,000', 'all agents are counted');
is(text('.place'), '1 to 50 of 1,000', 'place');
is($b->value("$agents.querySelector('table').ariaRowCount"), 1001,
    'a screen reader knows how many');
is($b->value("$agents.querySelector('tbody tr').ariaRowIndex"), 2,
    'and which one this is');
ok($b->value(button('.pager', 'Previous') . '.disabled'), 'nothing before');

like($b->value("page.parts.problems.textContent"),
    qr/40 agents down: [\w-]+(?:, [\w-]+){4} and 35 more/, 'a few are named');

press('.pager', 'Next');
is(text('.place'), '51 to 100 of 1,000', 'next page');

press('thead', 'Name');
is(text('.place'), '1 to 50 of 1,000', 'another order starts at the top');
is_deeply([ (names())[0 .. 2] ], [ qw/ amsterdam amsterdam-01 amsterdam-02 / ],
    'by name');

press('thead', 'Name');
is((names())[0], 'zurich-37', 'the other way round');

press('thead', 'Streams');
is(text('tbody [data-label=Streams]'), '4', 'numbers: the largest first');

like($b->value('location.hash'), qr/agents\.sort=-streams/,
    'the address has the order');

# search: all words, in all tables

search('BERLIN-1 office');
is(text('.total'), '6 of 1,000', 'search');
ok(!(grep { !/^berlin-1\d$/ } names()), 'names');
is($b->value("document.querySelector('#groups .empty').hidden"), 0,
    'nothing matches in another table');
ok($b->wait("page.parts.announcer.textContent === 'Found: Agents 6'"),
    'what was found is told');

search('203.0.113.77:');
is(text('.total'), '4 of 1,000', 'by address');

search('no such thing');
is(text('.empty'), 'Nothing matches.', 'nothing');

search('');

# what needs attention leads to what is down

$b->value("[ ...page.parts.problems.children ]"
    . ".find(e => e.textContent.includes('agents down'))"
    . ".querySelector('button').click()");
is(text('.total'), '40 of 1,000', 'those that are down');
is(text('select option:checked'), 'down', 'filter');
ok($b->value("[ ...$agents.querySelectorAll('.state') ]"
    . ".every(e => e.textContent === 'down')"), 'no others');
like($b->value('location.hash'), qr/agents\.show=down/,
    'the address has the filter');

# the address is enough to see the same again

my $same = $b->value('location.href');

$b->open('about:blank');
$b->open($same);
$b->wait('Boolean(page.status)');
is(text('.total'), '40 of 1,000', 'the same again');
is(text('th[aria-sort=descending] button'), 'Streams', 'in the same order');

# the work of an update, without the network: a bound that only fails if it
# grows out of all proportion

my $took = $b->value(<<'EOS');
    (() => {
        const status = page.status;
        const start = performance.now();

        for (let i = 0; i < 20; i++) {
            page.update(status, start + i * 2000);
        }

        return (performance.now() - start) / 20;
    })()
EOS

note(sprintf 'an update takes %.1f ms', $took);
cmp_ok($took, '<', 2000, 'an update is quick');
cmp_ok($b->value("document.querySelectorAll('*').length"), '<', 5000,
    'few elements');

is_deeply([ $b->complaints() ], [], 'no complaints');

###############################################################################
