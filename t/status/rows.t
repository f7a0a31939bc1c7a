#!/usr/bin/perl

# Tests for all kinds of rows as JSON and as metrics, from one table: names,
# values, what is left out, and what promtool says.

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
worker_processes 2;
load_module %%TESTDIR%%/rows.so;
rows %%TESTDIR%%/rows 1m;
EOM

# two workers, so sums of gauges are twice what is said here; counters are set

rows($t,
    { kind => 'WORKER', keys => 1, texts => [ '4711' ],
        gauges => { 0 => 1796050000, 1 => 1, 2 => 17 } },

    { kind => 'SERVER', keys => 1, texts => [ '0.0.0.0:4433' ],
        gauges => { 0 => 3, 1 => 5, 2 => 7, 3 => 1800000000 },
        counters => { map { $_ => 100 + $_ } 0 .. 14, 17 } },

    { kind => 'AGENT', keys => 4, gauges => { 0 => 4, 1 => 3, 2 => 1 },
        texts => [ 'reverse', 'home', 'office', 'KEY', 'alice@laptop',
            '192.0.2.1:5000', 'silent' ],
        counters => { 0 => 10, 1 => 20, 2 => 30, 3 => 40, 4 => 2,
            5 => 1796000000, 9 => 6 } },

    { kind => 'AGENT', keys => 4, gone => 1,
        texts => [ 'entry', 'gone', 'office', 'KEY2' ] },

    { kind => 'GROUP', keys => 1, texts => [ 'office' ],
        gauges => { 0 => 1, 1 => 2, 2 => 3, 3 => 4 },
        counters => { 0 => 5, 4 => 6 } },
    { kind => 'GROUP', keys => 1, texts => [ 'gone' ], gone => 1 },

    { kind => 'SERVICE', keys => 2, texts => [ 'web', 'office', 'alice' ],
        gauges => { 0 => 1, 1 => 2 }, counters => { 0 => 3 } },

    { kind => 'RELAY', keys => 5, gauges => { 0 => 3, 1 => 2, 2 => 1 },
        texts => [ 'entry', 'hall', 'office', 'relay.example:4433',
            '203.0.113.5:4433', 'direct', 'timed out' ],
        counters => { 0 => 1, 1 => 2, 2 => 3, 3 => 1796000001,
            4 => 1796000002, 5 => 4 } },
    { kind => 'RELAY', keys => 5, gauges => { 3 => 6, 4 => 1796000009 },
        texts => [ 'entry', 'hall', 'office', 'other.example:4433', '' ] },
    { kind => 'RELAY', keys => 5, gone => 1,
        texts => [ 'entry', 'hall', 'office', 'gone.example:4433', '' ] },

    { kind => 'ROUTE', keys => 3, gauges => { 0 => 1 },
        texts => [ '0.0.0.0:80', '10.0.0.5:80', 'relay' ],
        counters => { 0 => 1, 1 => 2, 2 => 3, 13 => 4 } },

    { kind => 'REVERSE', keys => 2, texts => [ 'office', 'home' ],
        gauges => { 0 => 1 }, counters => { 0 => 1, 1 => 2, 2 => 3, 13 => 4 } },

    { kind => 'TURN', keys => 1, texts => [ 'example.org' ],
        gauges => { map { $_ => $_ + 1 } 0 .. 3 },
        counters => { map { $_ => $_ + 1 } 0 .. 10 } },

    { kind => 'TURN_USER', keys => 1, texts => [ 'bob' ],
        gauges => { 0 => 1 }, counters => { map { $_ => $_ + 1 } 0 .. 3 } },
    { kind => 'TURN_USER', keys => 1, texts => [ 'gone' ], gone => 1,
        counters => { 0 => 9 } },

    { kind => 'SOCKS', keys => 1, texts => [ '0.0.0.0:1080' ],
        gauges => { 0 => 1 }, counters => { map { $_ => $_ + 1 } 0 .. 7 } },

    { kind => 'SOCKS_USER', keys => 1, texts => [ 'carol' ],
        gauges => { 0 => 1 }, counters => { map { $_ => $_ + 1 } 0 .. 3 } },
);

$t->plan(32);
$t->run();

my $json = wait_for(sub {
    my $got = status_json(http_get('/trp/status.json'));
    my ($turn) = @{$got->{turn}};
    return $turn && $turn->{allocations} == 2 && $got;
});

# each kind in turn

is_deeply([ grep { $_->{pid} == 4711 } @{$json->{workers}} ], [ { pid => 4711, started => 1796050000,
    exiting => JSON::PP::true, connections => 17 } ], 'workers');

is_deeply($json->{servers}, [ { listen => '0.0.0.0:4433',
    unauthenticated => 6, tunnels => 10, streams => 14,
    certificate_expires => 1800000000,
    accepted_total => 100, authenticated_total => 101, streams_total => 102,
    received_bytes_total => 103, sent_bytes_total => 104,
    refused_agents_total => { protocol => 105, key => 106, signature => 107,
        role => 108, group => 109, address => 110, expired => 111,
        limit => 112 },
    rejected_certificates_total => 113,
    refused_streams_total => { ok => 114, 'no agent' => 117 } } ], 'servers');

my ($up, $down) = @{$json->{agents}};
my $since = delete $up->{since};

ok(abs($since - time()) < 100, 'since');
is_deeply($up, { role => 'reverse', name => 'home', group => 'office',
    key => 'KEY', comment => 'alice@laptop', address => '192.0.2.1:5000',
    up => JSON::PP::true, tunnels => 8, idle => 6, streams => 2,
    tunnels_total => 10, streams_total => 20, received_bytes_total => 30,
    sent_bytes_total => 40, losses_total => 2, lost => 1796000000,
    why => 'silent', refused_streams_total => { 'no agent' => 6 } },
    'agents');
is($down->{up}, JSON::PP::false, 'an agent that is gone');
is($down->{lost}, undef, 'never lost');

is_deeply($json->{groups}, [ { name => 'office', entries => 2, reverses => 4,
    waiting => 6, streams => 8, streams_total => 5,
    refused_streams_total => { 'no agent' => 6 } } ], 'groups, none is gone');

is_deeply($json->{services}, [ { name => 'web', group => 'office',
    comment => 'alice', agents => 2, streams => 4, streams_total => 3 } ],
    'services');

is_deeply($json->{relays}, [ { role => 'entry', name => 'hall',
    group => 'office',
    host => 'relay.example:4433', address => '203.0.113.5:4433',
    state => 'up', since => 1796000002, way => 'direct',
    way_changes_total => 4, tunnels => 6, idle => 4, dialing => 2,
    failures => 0, next => undef, tunnels_total => 1, failed_total => 2,
    lost_total => 3, error => 'timed out', failed_at => 1796000001 },
    { role => 'entry', name => 'hall', group => 'office',
    host => 'other.example:4433',
    address => '', state => 'waiting', since => undef, way => '',
    way_changes_total => 0, tunnels => 0,
    idle => 0, dialing => 0, failures => 6, next => 1796000009,
    tunnels_total => 0, failed_total => 0, lost_total => 0, error => '',
    failed_at => undef } ], 'relays, none is gone');

my %streams = (streams => 2, streams_total => 1, received_bytes_total => 2,
    sent_bytes_total => 3);

is_deeply($json->{routes}, [ { listen => '0.0.0.0:80',
    destination => '10.0.0.5:80', upstream => 'relay', %streams,
    refused_streams_total => { refused => 4 } } ], 'routes');
is_deeply($json->{reverses}, [ { group => 'office', name => 'home', %streams,
    refused_streams_total => { refused => 4 } } ], 'reverses');

is_deeply($json->{turn}, [ { realm => 'example.org', allocations => 2,
    permissions => 4, channels => 6, connections => 8, allocations_total => 1,
    received_bytes_total => 2, sent_bytes_total => 3,
    received_packets_total => 4, sent_packets_total => 5,
    dropped_packets_total => 6, denied_total => 7, unauthenticated_total => 8,
    refused_total => 9, bindings_total => 10, silenced_total => 11 } ],
    'turn');

is_deeply($json->{turn_users}, [ { name => 'bob', allocations => 2,
    allocations_total => 1, received_bytes_total => 2, sent_bytes_total => 3,
    denied_total => 4 }, { name => 'gone', allocations => 0,
    allocations_total => 9, received_bytes_total => 0, sent_bytes_total => 0,
    denied_total => 0 } ], 'users of TURN');

is_deeply($json->{socks5}, [ { listen => '0.0.0.0:1080', %streams,
    unauthenticated_total => 4, invalid_total => 5, associated_total => 6,
    refused_streams_total => { ok => 7, 'protocol error' => 8 } } ],
    'socks5');
is_deeply($json->{socks5_users}, [ { name => 'carol', streams => 2,
    streams_total => 1, received_bytes_total => 2, sent_bytes_total => 3,
    denied_total => 4 } ], 'users of socks5');

is_deeply([ sort keys %$json ], [ sort qw/ version trp nginx time since zone
    workers servers agents groups services relays routes reverses turn
    turn_users socks5 socks5_users / ], 'all of it');

# metrics

my $answer = http_get('/trp/metrics');
my %m = status_metrics($answer);
my $agent = 'role="reverse",name="home",group="office",key="KEY"';
my $relay = 'role="entry",name="hall",group="office",'
    . 'host="relay.example:4433",'
    . 'address="203.0.113.5:4433"';

is($m{'trp_worker_start_time_seconds{pid="4711"}'}, 1796050000, 'worker');
is($m{'trp_relay_refused_agents_total{listen="0.0.0.0:4433",reason="limit"}'},
    112, 'reason');
is($m{'trp_relay_certificate_expiry_timestamp_seconds{listen="0.0.0.0:4433"}'},
    1800000000, 'expiry');
is($m{"trp_relay_agent_up{$agent,comment=\"alice\@laptop\"}"}, 1, 'up');
is($m{"trp_relay_agent_tunnels{$agent,state=\"busy\"}"}, 2, 'busy tunnels');
is($m{"trp_relay_agent_refused_streams_total{$agent,status=\"no agent\"}"}, 6,
    'refused streams');
is($m{'trp_relay_group_agents{group="office",role="reverse"}'}, 4, 'group');
is($m{"trp_agent_relay_tunnels{$relay,state=\"dialing\"}"}, 2, 'relay');
is($m{'trp_socks5_user_denied_total{name="carol"}'}, 4, 'user of socks5');
is(scalar(grep { /expiry|next_try|last_loss/ } keys %m), 3,
    'times that are not known are left out');

# docs/status.md has a section for each array, with its fields and metrics

my $docs = do {
    open my $fh, '<', "$FindBin::Bin/../../docs/status.md"
        or die "can't open docs/status.md: $!\n";
    local $/;
    <$fh>;
};

my %sections = $docs =~ /^### (\w+)\n(.*?)(?=^##)/gms;
my %fields;

for my $kind (grep { ref $json->{$_} eq 'ARRAY' } keys %$json) {
    $fields{$kind} = [ sort keys %{$json->{$kind}[0]} ];
}

$fields{agents} = [ sort @{$fields{agents}}, 'since' ];

is_deeply({ map {
    $_ => [ sort $sections{$_} =~ /^\| `(\w+)` \|/mg ]
} keys %sections }, \%fields, 'each field is documented');

my %named = map { $_ => 1 } $docs =~ /^\|(?: `\w+` \|)? `(trp_\w+)` \|/mg;
my %there = map { /^(\w+)/ ? ($1 => 1) : () } keys %m;

is_deeply([ sort keys %named ], [ sort keys %there ],
    'each metric is documented');

# all samples of a name stand together, each with help and a type

my (%seen, %help, $last, $apart);

for (split /\n/, http_content($answer)) {
    $help{$1}++ if /^# HELP (\S+) \S.*\.$/;
    next if !/^(\w+)/;
    $apart ||= $1 if $seen{$1}++ && $last ne $1;
    $last = $1;
}

is($apart, undef, 'a name stands together');
is_deeply([ sort keys %help ], [ sort keys %seen ], 'help for each');

SKIP: {
    skip 'no promtool', 1 if !executable('promtool');

    $t->write_file('metrics', http_content($answer));
    my $said = output({ in => $t->testdir() . '/metrics', err => 1 },
        'promtool', 'check', 'metrics');

    is("$?: $said", '0: ', 'promtool');
}

is($json->{zone}{unlisted_total}, 0, 'nothing is missing');
