#!/usr/bin/perl

# Tests for texts that agents choose: whatever they are, JSON and metrics stay
# valid, and say them as they are; the longest rows fit.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx qw/ :DEFAULT http_content /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::Rows;

my $t = Test::Nginx->new()->has(qw/ http /);

plan(skip_all => 'no build of the modules') if !rows_module($t);

status_conf($t, main => <<'EOM');
load_module %%TESTDIR%%/rows.so;
rows %%TESTDIR%%/rows 1m;
EOM

# bytes, and what is shown of them

my $unknown = "\x{fffd}";

my @cases = (
    [ '"', '"', '\\"' ],
    [ '\\', '\\', '\\\\' ],
    [ '\\n', '\\n', '\\\\n' ],
    [ "a\nb", "a\nb", 'a\\nb' ],
    [ "\r\t\x01\x1b[31m\x7f" ],
    [ '</script><script>alert(1)</script>' ],
    [ '{}="1"} 1', '{}="1"} 1', '{}=\\"1\\"} 1' ],
    [ "b\xc3\xbccher", "b\x{fc}cher" ],
    [ "b\xfccher", "b${unknown}cher" ],
    [ "\xe2\x80\xa8", "\x{2028}" ],
    [ "\xf0\x9f\x98\x80", "\x{1f600}" ],
    [ "\xed\xa0\x80", $unknown x 3 ],
    [ "\xff" x 384, $unknown x 384 ],
    [ "\x01" x 384 ],
    [ '"' x 384, '"' x 384, '\\"' x 384 ],
    [ '' ],
);

# a user's name is all of a row; an agent's are most of it

rows($t,
    (map { {
        kind => 'TURN_USER', keys => 1, texts => [ "$_ $cases[$_][0]" ],
    } } 0 .. $#cases),
    (map { {
        kind => 'AGENT', keys => 4, texts => [ 'entry',
            "agent $_->[0]", ("$_->[1]") x 2 ],
        counters => { map { $_ => 9007199254740992 } 0 .. 20 }
    } } [ 1, "\xff" x 180 ], [ 2, "\x01" x 180 ], [ 3, '"' x 180 ])
);

$t->plan(7 + 2 * @cases);
$t->run();

my $answer = http_get('/trp/status.json');
my $json = status_json($answer);
my $metrics = http_content(http_get('/trp/metrics'));
my %users = map { $_->{name} => 1 } @{$json->{turn_users}};

for my $i (0 .. $#cases) {
    my ($bytes, $shown, $label) = @{$cases[$i]};
    my $name = substr $bytes =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger, 0, 40;

    $shown = $bytes if !defined $shown;
    $label = $shown if !defined $label;
    utf8::encode($label);

    # what is too long is cut

    my ($found) = grep { /^$i / } keys %users;
    my $want = substr "$i $shown", 0, length $found;

    ok($found eq $want && (length $bytes < 300 || length $found == 384),
        "json: $name");
    ok(index($metrics, "trp_turn_user_allocations{name=\"$i "
        . (length $bytes < 300 ? "$label\"} 0\n" : substr $label, 0, 376))
        >= 0, "metrics: $name");
}

like($answer, qr/[ -~\n]/, 'json is there');
unlike(http_content($answer), qr/[\x00-\x09\x0b-\x1f]/, 'json has no controls');
is(scalar(@{$json->{agents}}), 3, 'long rows');
is(scalar(() = $metrics =~ /^trp_relay_agent_refused_streams_total/mg), 45,
    'their metrics');
is($json->{agents}[0]{sent_bytes_total}, 9007199254740992, 'large numbers');
is($json->{version}, 1, 'version');

SKIP: {
    skip 'no promtool', 1 if !executable('promtool');

    $t->write_file('metrics', $metrics);
    my $said = output({ in => $t->testdir() . '/metrics', err => 1 },
        'promtool', 'check', 'metrics');

    is("$?: $said", '0: ', 'promtool');
}
