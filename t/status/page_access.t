#!/usr/bin/perl

# Tests for the page of trp_status: it can be used with a keyboard, with a screen
# reader, on a phone, in light and dark.

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

my $t = Test::Nginx->new()->has(qw/ http /)->plan(44);

my $b = open_page($t, status(agents => 60));

###############################################################################

# what is there for a screen reader, by role

sub named {
    my ($role, @tree) = @_;
    return grep { $_->{role} eq $role } @tree;
}


my @tree = $b->tree();
is($b->value('document.documentElement.lang'), 'en', 'language');
is(scalar named('main', @tree), 1, 'main');
is(scalar named('search', @tree), 1, 'search');
is($b->value("document.querySelectorAll('h1').length"), 1, 'one title');

my ($agents) = grep { $_->{name} =~ /^Agents 60/ } named('table', @tree);

ok($agents, 'table has a name');
is(scalar named('table', @tree), 12, 'tables are tables');
is(scalar(grep { $_->{name} eq 'Last loss' } named('columnheader', @tree)), 1,
    'headers of columns');
ok((grep { $_->{name} eq 'berlin' } named('rowheader', @tree)),
    'headers of rows');
is($b->value("[ ...document.querySelectorAll('#agents [aria-sort]') ]"
    . ".filter(e => e.ariaSort !== 'none').map(e => e.textContent + ' '"
    . " + e.ariaSort).join()"), 'State ascending', 'order');

is_deeply([ map { $_->{role} } grep { $_->{name} !~ /\S/ }
    map { named($_, @tree) } qw/ button link textbox searchbox combobox
    table navigation / ], [], 'all that can be used has a name');
is(scalar named('image', @tree) + scalar named('SvgRoot', @tree), 0,
    'charts are pictures only');
is($b->value("page.parts.announcer.getAttribute('aria-live')"), 'polite',
    'changes are told politely');

# keys

sub focus {
    return $b->value("(e => e.id || e.textContent)(document.activeElement)");
}


$b->key('Tab');
is(focus(), 'Skip to the tables', 'the first is a way past the top');
is($b->value('document.activeElement.getBoundingClientRect().left >= 0'), 1,
    'and is seen then');

$b->key('/');
is(focus(), 'search', 'a key for the search');
$b->key($_) for qw/ b e r l i n /;
is($b->value('page.tables.get("agents").order.length'), 3, 'found by typing');
$b->key('/');
is($b->value('page.parts.search.value'), 'berlin/', 'which is a text in there');
$b->value("page.parts.search.value = ''; page.search(); true");

$b->value("[ ...document.querySelectorAll('#agents thead button') ]"
    . ".find(e => e.textContent === 'Name').focus()");
is($b->value("getComputedStyle(document.activeElement).outlineStyle"), 'solid',
    'focus is seen');
$b->key('Enter');
is(focus(), 'Name', 'focus stays');
is($b->value('document.activeElement.parentNode.ariaSort'), 'ascending',
    'sorted');
$b->key(' ');
is($b->value('document.activeElement.parentNode.ariaSort'), 'descending',
    'sorted the other way');
$b->key(' ');

# a row with all its fields; it keeps the focus when rows move

$b->value("[ ...document.querySelectorAll('#agents .opener') ]"
    . ".find(e => e.textContent === 'berlin').focus()");
$b->key('Enter');
is($b->value('document.activeElement.ariaExpanded'), 'true', 'opened');
like($b->value("document.querySelector('#agents .detail').textContent"),
    qr/keyAAAAC3NzaC1lZDI1NTE5.*tunnels so far13/, 'all fields');
is($b->value("document.activeElement.closest('tr').nextSibling.className"),
    'detail', 'next to it');

my %next = status(agents => 60, seconds => 30);

$next{agents} = [ reverse @{$next{agents}} ];
write_status($t, %next);
$b->wait("page.status.time === $next{time}");
is(focus(), 'berlin', 'focus stays when the table changes');

$b->value("page.tables.get('agents').resort('name', false); true");
is(focus(), 'berlin', 'and when it is sorted');
is($b->value("document.activeElement.closest('tr').nextSibling.className"),
    'detail', 'fields are still next to it');
$b->key('Enter');
is($b->value('document.activeElement.ariaExpanded'), 'false', 'closed');
is($b->value("document.querySelectorAll('.detail').length"), 0, 'and gone');

# sizes and colours

sub wide {
    return $b->value('document.documentElement.scrollWidth');
}


# buttons, fields and links that are smaller than 24 x 24, as WCAG 2.2 wants it

sub small {
    return $b->value(<<'EOS');
        [ ...document.querySelectorAll('button, select, input, nav a') ]
            .filter(e => e.checkVisibility())
            .filter(e => e.getBoundingClientRect().height < 24)
            .map(e => e.textContent || e.id).join(', ')
EOS
}


# texts whose contrast to what is behind them is below 4.5

sub pale {
    return $b->value(<<'EOS');
        (() => {
            const parse = color => (color.match(/[\d.]+/g) || []).map(Number);
            const light = color => parse(color).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92
                    : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [ 0.2126, 0.7152, 0.0722 ][i],
                    0);

            const behind = e => {
                const color = getComputedStyle(e).backgroundColor;
                return parse(color)[3] === 0 ? behind(e.parentElement) : color;
            };

            const walk = document.createTreeWalker(document.body,
                NodeFilter.SHOW_TEXT);
            const pale = new Set();
            let seen = 0;

            while (walk.nextNode()) {
                const e = walk.currentNode.parentElement;

                if (!walk.currentNode.data.trim() || !e.checkVisibility()
                    || e.closest('script, .unseen')) continue;

                const [ a, b ] = [ light(getComputedStyle(e).color),
                    light(behind(e)) ].sort((a, b) => b - a);

                seen++;
                if ((a + 0.05) / (b + 0.05) < 4.5) {
                    pale.add(e.tagName + '.' + e.className);
                }
            }

            return seen < 100 ? 'texts: ' + seen : [ ...pale ].join(', ');
        })()
EOS
}


$b->value("document.querySelector('#agents .opener').click()");

for my $scheme (qw/ light dark /) {
    $b->media('prefers-color-scheme' => $scheme);
    is(pale(), '', "contrast, $scheme");
}

$b->value("document.getElementById('theme').click()");
is($b->value('getComputedStyle(document.body).backgroundColor'),
    'rgb(255, 255, 255)', 'light on demand, where dark is preferred');
$b->value("document.getElementById('theme').click()");
$b->media('prefers-color-scheme' => 'light');
is($b->value('getComputedStyle(document.body).backgroundColor'),
    'rgb(13, 17, 23)', 'and dark');
is(pale(), '', 'contrast, dark on demand');
is(small(), '', 'sizes');

$b->value("document.querySelector('h1').style.color = '#777'");
is(pale(), 'H1.', 'a pale text would be seen');

$b->media('prefers-reduced-motion' => 'reduce');
is($b->value('getComputedStyle(document.documentElement).scrollBehavior'),
    'auto', 'no motion');

# a phone: cards instead of rows

for my $width (390, 320) {
    $b->size($width, 800);
    is(wide(), $width, "no wider than $width");
}

is(small(), '', 'sizes on a phone');
is($b->value("getComputedStyle(document.querySelector('tbody tr')).display"),
    'grid', 'cards');

@tree = $b->tree();

is(scalar named('table', @tree), 12, 'tables are still tables');
ok((grep { $_->{name} eq 'berlin' } named('rowheader', @tree)),
    'with headers of rows');

is_deeply([ $b->complaints() ], [], 'no complaints');

###############################################################################
