#!/usr/bin/perl

# Tests for the page of trp_status: names, comments, addresses and reasons are
# what agents choose.  Nothing of them is markup, looks like something else or
# breaks the page.

use strict;
use warnings;
use utf8;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use JSON::PP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Browser;
use Test::Nginx::TRP::Status;

my $missing = browser_missing();
plan(skip_all => $missing) if $missing;

# a name, and how it is shown if not as it is

my @names = (
    [ '<script>window.hacked = 1</script>' ],
    [ '"><img src=x onerror="window.hacked = 1">' ],
    [ '</textarea></title></style></script><svg onload=window.hacked=1>' ],
    [ "' onmouseover='window.hacked = 1" ],
    [ 'javascript:window.hacked=1' ],
    [ '<iframe src="javascript:parent.hacked=1">' ],
    [ '<a href="//evil.example/">click</a>' ],
    [ '<base href="//evil.example/">' ],
    [ '<meta http-equiv=refresh content="0;url=//evil.example/">' ],
    [ '<!--' ], [ ']]>' ], [ '&lt;b&gt;' ], [ '${window.hacked=1}' ],
    [ '{{constructor.constructor("window.hacked=1")()}}' ],
    [ '__proto__' ], [ 'constructor' ], [ 'toString' ], [ 'hasOwnProperty' ],
    [ "berlin\x{202e}gnp.exe", 'berlin\u{202e}gnp.exe' ],
    [ "ber\x{200b}lin", 'ber\u{200b}lin' ],
    [ "berlin\x{2066}\x{2069}", 'berlin\u{2066}\u{2069}' ],
    [ "berlin\x{a0}", 'berlin\u{a0}' ],
    [ "\x{3164}", '\u{3164}' ],
    [ "tab\there\nand there\r\0", 'tab\u{9}here\u{a}and there\u{d}\u{0}' ],
    [ "\e[31mred", '\u{1b}[31mred' ],
    [ "\x{e0001}tagged\x{fe0f}", '\u{e0001}tagged\u{fe0f}' ],
    [ 'z' . "\x{335}\x{321}" . "\x{30f}" x 3,
        'z' . "\x{335}\x{321}" . '\u{30f}' x 3 ],
    [ 'م' x 20 ], [ '柏林' x 20 ], [ "\x{1f980}" x 30 ],
    [ 'W' x 380 ], [ 'a b ' x 90 . 'c' ],
    [ '=HYPERLINK("http://evil.example/")' ],
);

my $t = Test::Nginx->new()->has(qw/ http /)->plan(2 * @names + 15);

my %status = status(agents => scalar @names);

for my $i (0 .. $#names) {
    my $agent = $status{agents}[$i];
    my $name = $names[$i][0];

    $agent->{$_} = $name for qw/ name comment why group address key /;
    $agent->{up} = $i % 2 ? JSON::PP::true : JSON::PP::false;
    $agent->{lost} = $status{time};
    $agent->{refused_streams_total} = { $name => 3 };
    $agent->{$name} = $name;
}

my @all = map { $_->[0] } @names;

$status{groups} = [ map { { name => $_, waiting => 1 } } @all ];
$status{services} = [ map { { name => $_, group => $_, comment => $_ } } @all ];
$status{relays} = [ map { { role => 'entry', group => $_, host => $_,
    address => $_, state => $_, error => $_, failed_at => $status{time} } }
    @all ];
$status{routes} = [ map { { listen => $_, destination => $_,
    upstream => $_ } } @all ];
$status{reverses} = [ map { { group => $_, name => $_ } } @all ];
$status{$_} = [ map { { name => $_ } } @all ] for qw/ turn_users socks5_users /;
$status{turn} = [ map { { realm => $_ } } @all ];
$status{socks5} = [ map { { listen => $_ } } @all ];
$status{trp} = $status{nginx} = $all[0];

my $b = open_page($t, %status);

###############################################################################

sub texts {
    my ($selector) = @_;
    return map { $_ => 1 } @{$b->value("[ ...document.querySelectorAll("
        . "'#agents $selector') ].map(e => e.textContent)")};
}


my %shown = texts('.opener');
my %whys = texts('[data-label="Last loss"]');

for (@names) {
    my ($name, $as) = @$_;
    $as //= $name;

    my $short = length $as > 40 ? substr($as, 0, 40) . '...' : $as;
    utf8::encode($short);
    $short =~ s/#/(hash)/g;

    ok($shown{$as}, "name $short");
    ok($whys{"0 s ago: $as"}, "reason $short");
}

# all details are opened, and names are searched for

$b->value(
    'for (const e of document.querySelectorAll(".opener")) e.click(); true');

sub found {
    my ($text) = @_;
    my $string = JSON::PP->new()->allow_nonref()->ascii()->encode($text);

    return $b->value("page.parts.search.value = $string; page.search(); "
        . "page.tables.get('agents').order.length");
}


is(found('<script>window'), 1, 'search for markup');
is(found('hasOwnProperty'), 1, 'for the name of a property');
is(found('"><img src=x onerror="window.hacked'), 1, 'for quotes');
is(found(''), scalar @names, 'all');

is($b->value('typeof window.hacked'), 'undefined', 'nothing was run');
is($b->value("document.querySelectorAll('script').length"), 7,
    'scripts are ours');
is($b->value("document.querySelectorAll('img, iframe, base, object, embed, b, "
    . "video, textarea, tbody a, main script, main style, [http-equiv]')"
    . '.length'), 0, 'no foreign elements');
is($b->value("[ ...document.querySelectorAll('*') ].filter(e => "
    . "[ ...e.attributes ].some(a => /^on|^style\$|^src/.test(a.name))).length"),
    0, 'no handlers');
is($b->value("[ ...document.querySelectorAll('a') ]"
    . ".map(a => a.getAttribute('href')).filter(href => !href.startsWith('#'))"
    . ".join(' ')"), 'status.json metrics', 'links are ours');
is($b->value('typeof ({}).up'), 'undefined', 'no prototype was changed');
ok($b->value('document.documentElement.scrollWidth <= innerWidth'),
    'the page is as wide as the window');

$b->size(390, 844);
is($b->value('document.documentElement.scrollWidth'), 390, 'and on a phone');

# the address may be chosen by others, too

$b->open('about:blank');
$b->open(page_url() . '#find=%3Cimg%20src%3Dx%20onerror%3Dhacked%3D1%3E'
    . '&agents.sort=__proto__&agents.show=constructor&nothing.sort=-x');
$b->wait('Boolean(page.status)');
is($b->value('typeof window.hacked'), 'undefined', 'nothing was run');
is($b->value("document.getElementById('search').value"),
    '<img src=x onerror=hacked=1>', 'it is a text');

is_deeply([ $b->complaints() ], [], 'no complaints');

###############################################################################
