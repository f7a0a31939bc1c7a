#!/usr/bin/perl

# Tests for the page of trp_status: the server is away, refuses, or sends what
# is no status; the page says so, keeps what it knows, and recovers.

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

my $t = Test::Nginx->new()->has(qw/ http /)->plan(22);

my $b = open_page($t, status());

###############################################################################

# what the page says; it is made to read at once, not after a pause that grows

sub trouble {
    my ($re) = @_;

    $b->wait('page.soon(0), !page.parts.trouble.hidden '
        . "&& /$re/.test(page.parts.trouble.textContent)");

    return $b->value('page.parts.trouble.textContent');
}


sub recovers {
    my ($name) = @_;

    write_status($t, status());
    ok($b->wait('page.soon(0), page.parts.trouble.hidden'), $name);
}


is($b->value('page.parts.live.textContent'), 'live', 'live');

unlink $t->testdir() . '/status.json';

like(trouble('404'), qr/^No news from the server: the answer is 404\./,
    'no such file');
like(trouble('404'), qr/What is shown is from 2026-/, 'what is shown is old');
is($b->value('page.parts.live.textContent'), 'no news', 'no news');
is($b->value("page.parts.trouble.getAttribute('role')"), 'alert',
    'a screen reader says it at once');
is($b->value("document.querySelectorAll('#agents tbody tr').length"), 3,
    'what was known is there');

recovers('comes back');

write_status_text($t, '{"version":1,"agents":[');
like(trouble('no JSON'), qr/^No news from the server: the answer is no JSON/,
    'broken off');

write_status_text($t, 'null');
like(trouble('no status'), qr/^No news from the server: the answer is no status/,
    'other JSON');

write_status_text($t, '{"error":"who are you?"}');
like(trouble('no status'), qr/the answer is no status/, 'other JSON, an object');

write_status_text($t, '{"version":2}');
like(trouble('version'), qr/has version 2, this page knows 1: load it again/,
    'another version');

write_status_text($t, '{"version":1,"time":1796060000,'
    . '"since":1796050000,"trp":"0","nginx":"1","new":[{}]}');
ok($b->wait('page.soon(0), page.parts.trouble.hidden'), 'nothing but itself');
ok($b->value("document.getElementById('agents').hidden"), 'no tables');
is($b->value('page.parts.problems.innerText'), 'Nothing.',
    'nothing to attend to');

recovers('all is there again');

# the server ends and comes back

$t->stop();
like(trouble('no connection'), qr/no connection/, 'server is gone');

$t->run();
recovers('server is back');

# the server does not answer, in less time than the page has

my ($worker) = worker_pids($t);

$b->value('page.timeout = AbortSignal.timeout,'
    . 'AbortSignal.timeout = () => page.timeout.call(AbortSignal, 300), 1');
kill 'STOP', $worker;
like(trouble('too long'), qr/it takes too long\. What is shown is from 2026-/,
    'server stalls');
kill 'CONT', $worker;
recovers('server goes on');
$b->value('AbortSignal.timeout = page.timeout, 1');

# while it is paused, nothing is read

$b->value('page.parts.pause.click()');
is($b->value('page.parts.live.textContent'), 'paused', 'paused');

$b->wait('!page.reading');
my $read = $b->value('page.history.round');

$b->value('page.poll().then(() => true)');
is($b->value('page.history.round'), $read, 'not read');

$b->value('page.parts.pause.click()');
ok($b->wait("page.history.round > $read"), 'read again');

###############################################################################
