#!/usr/bin/perl

# examples/monitoring: Prometheus takes its configuration and the rules, the
# rules do what their own tests say, and rules and dashboard speak of metrics
# and labels that exist.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use JSON::PP;
use List::Util qw/ min uniq /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::Rows;

my $examples = "$FindBin::Bin/../../examples/monitoring";

my $t = Test::Nginx->new()->has(qw/ http /);

plan(skip_all => 'modules are not dynamic') if !rows_module($t);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

load_module %%TESTDIR%%/rows.so;
rows %%TESTDIR%%/rows 1m;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8080;

        location /trp/ {
            trp_status;
        }
    }
}

EOC

# one row of each kind, with everything that it may have

my %texts = (WORKER => [ '1' ], SERVER => [ 'a' ], AGENT => [ qw/ a b c d e / ],
    GROUP => [ 'a' ], SERVICE => [ qw/ a b / ], RELAY => [ qw/ a b c d e / ],
    ROUTE => [ qw/ a b c / ], REVERSE => [ qw/ a b / ], TURN => [ 'a' ],
    TURN_USER => [ 'a' ], SOCKS => [ 'a' ], SOCKS_USER => [ 'a' ]);

rows($t, map { {
    kind => $_, keys => min(4, scalar @{$texts{$_}}), texts => $texts{$_},
    gauges => { map { $_ => 1 } 0 .. 3 },
    counters => { map { $_ => 1 } 0 .. 19 },
} } sort keys %texts);

$t->plan(11)->run();

my %samples = wait_for(sub {
    my %got = status_metrics(http_get('/trp/metrics'));
    return (grep { /^trp_socks5_user/ } keys %got) && \%got;
})->%*;

# labels of each metric; Prometheus adds two

my %labels = (up => { instance => 1, job => 1 });

for (keys %samples) {
    my ($name, $labels) = /^(\w+)(?:\{(.*)\})?$/;

    $labels{$name}{$_} = 1
        for qw/ instance job /, ($labels || '') =~ /(\w+)="/g;
}

cmp_ok(keys %labels, '>', 80, 'metrics');

# the rules

SKIP: {
    skip 'no promtool', 3 if !executable('promtool');

    for ([ qw/ check config prometheus.yml / ], [ qw/ check rules rules.yml / ],
        [ qw/ test rules rules_test.yml / ])
    {
        my $said = output({ err => 1 }, 'sh', '-c',
            "cd $examples && exec promtool @$_");

        ok($? == 0, "promtool @$_") or diag($said);
    }
}

my $rules = text('rules.yml');
my @alerts = $rules =~ /- alert: (\w+)/g;

cmp_ok(@alerts, '>', 10, 'alerts');

my %tested = map { $_ => 1 }
    text('rules_test.yml') =~ /alertname: (\w+)\n +exp_alerts:\n/g;

is(join(' ', grep { !$tested{$_} } @alerts), '', 'each has a test');

my $readme = text('README.md');
is(join(' ', grep { $readme !~ /\b$_\b/ } @alerts), '', 'README has each');

# the names

my @queries;

while ($rules =~ /expr: (?:>-\n)?((?:.*\n)(?: {10,}.*\n)*)/g) {
    push @queries, { expr => $1 =~ s/\s+/ /gr };
}

is(@queries, @alerts, 'queries');
is(join("\n", map { wrong($_) } @queries), '', 'rules');

my $dashboard = decode_json(text('dashboard.json'));
my @panels = @{$dashboard->{panels}};

@queries = map { @{$_->{targets} || []} } @panels;
is(join("\n", map { wrong($_) } @queries,
    { expr => join ' ', map { $_->{query}{query} }
        grep { ref $_->{query} } @{$dashboard->{templating}{list}} }), '',
    'dashboard');

is(scalar(uniq(map { $_->{id} } @panels)), scalar @panels, 'ids of panels');


# what a query speaks of that does not exist

sub wrong {
    my ($query) = @_;
    my $expr = $query->{expr};
    my (@wrong, %any);

    # strings are not names, but for a choice of them

    $expr =~ s/__name__=~"([^"]*)"/$1/g;
    $expr =~ s/"[^"]*"/""/g;

    while ($expr =~ /\b(trp_\w+|up)\b(?:\{([^}]*)\})?/g) {
        my ($name, $matchers) = ($1, $2 || '');

        push @wrong, "no $name" if !$labels{$name};
        $any{$_} = 1 for keys %{$labels{$name}};
        push @wrong, map { "no $_ of $name" } grep { !$labels{$name}{$_} }
            $matchers =~ /(\w+)\s*(?:=|!=|=~|!~)\s*"/g;
    }

    my @by = map { split /,\s*/ } $expr =~ /\bby \(([^)]*)\)/g;
    my @legend = ($query->{legendFormat} || '') =~ /\{\{(\w+)\}\}/g;

    push @wrong, 'no metric' if !%any;
    push @wrong, map { "no $_" } grep { !$any{$_} } @by, @legend;

    return map { "$_: $query->{expr}" } @wrong;
}


sub text {
    my ($name) = @_;
    open my $fh, '<', "$examples/$name" or die "no $name: $!\n";
    local $/;
    return scalar <$fh>;
}
