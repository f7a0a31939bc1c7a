package Test::Nginx::TRP::Status;

# What status.json could be: a relay with agents, an agent, TURN and SOCKS5, for
# tests of the page.
#
#     my %status = status(agents => 1000, seconds => 60);
#     $status{agents}[0]{name} = '<script>';
#     write_status($t, %status);
#     my $b = open_page($t, %status);     nginx, and the page in a browser
#
# The same numbers always come for the same arguments; counters grow with
# "seconds".  One agent in 25 is down, of 3 the last.

use strict;
use warnings;

use Exporter qw/ import /;
use JSON::PP;
use List::Util qw/ sum0 /;

use Test::Nginx;
use Test::Nginx::TRP::Browser;

our @EXPORT = qw/ status write_status write_status_text page_url open_page /;

use constant SINCE => 1796050000;

my @towns = qw/
    amsterdam berlin cairo dakar essen florence geneva hanoi istanbul jakarta
    kyoto lisbon madrid nairobi oslo prague quito riga seoul tunis utrecht
    vienna warsaw xalapa york zurich
    /;

my @why = ('closed by the agent', 'connection was reset', 'peer is silent',
    'key was removed');

my $json = JSON::PP->new()->utf8()->canonical()->allow_nonref();


sub status {
    my (%opts) = @_;
    my $n = $opts{agents} // 3;
    my $seconds = $opts{seconds} || 0;
    my $now = SINCE + 10000 + $seconds;

    my @agents = map { _agent($_, $n, $seconds, $now) } 0 .. $n - 1;
    my @up = grep { $_->{up} } @agents;

    my $total = sub {
        my ($field, @list) = @_;
        return sum0(map { $_->{$field} } @list);
    };

    return (
        version => 1, trp => '0.5.0', nginx => '1.22.1',
        time => $now, since => SINCE,
        zone => { rows => 18000, used => $n + 12, unlisted_total => 0 },

        workers => [ map { {
            pid => 4711 + $_, started => SINCE, exiting => JSON::PP::false,
            connections => 20 + int(@up / 2),
        } } 0, 1 ],

        servers => [ {
            listen => '0.0.0.0:4433', unauthenticated => 1,
            tunnels => $total->('tunnels', @up),
            streams => $total->('streams', @up),
            certificate_expires => $now + 61 * 86400,
            accepted_total => 9000 + $seconds, authenticated_total => 8800,
            streams_total => $total->('streams_total', @agents),
            received_bytes_total => $total->('received_bytes_total', @agents),
            sent_bytes_total => $total->('sent_bytes_total', @agents),
            refused_agents_total => { key => 3, group => 1 },
            rejected_certificates_total => 0,
            refused_streams_total => { 'no agent' => 12, refused => 5 },
        } ],

        agents => \@agents,
        groups => _groups(\@agents),

        services => [ {
            name => 'wiki.example.org', group => 'office', comment => 'berlin',
            agents => 1, streams => 2, streams_total => 812 + $seconds,
        }, {
            name => '2222', group => 'office', comment => 'cairo',
            agents => 1, streams => 0, streams_total => 31,
        } ],

        _agents_view($seconds, $now),
        _turn($seconds),
    );
}


sub _agent {
    my ($i, $n, $seconds, $now) = @_;
    my $town = $towns[$i % @towns];
    my $up = $n <= 3 ? $i != 2 : $i % 25 != 7;
    my $role = $i % 3 == 1 ? 'entry' : 'reverse';
    my $number = $i < @towns ? '' : sprintf '-%02d', $i / @towns;
    my $streams = $up ? $i * 7 % 5 : 0;
    my $losses = $up ? $i * 3 % 4 : 1 + $i % 3;

    # some are busy, most are not

    my $busy = $i % 7 ? 900 + $i % 700 : 250000 + $i % 90 * 3000;
    my $flow = $up ? $busy * ($seconds + 8 * sin($seconds / 9 + $i)) : 0;
    my $back = $up ? $busy * ($seconds + 4 * cos($seconds / 5 + $i)) : 0;

    return {
        role => $role, name => "$town$number",
        group => (qw/ office lab home /)[$i % 3 ? 0 : $i % 2 + 1],
        key => sprintf('AAAAC3NzaC1lZDI1NTE5AAAAI%018d', $i * 7919),
        comment => "ops\@$town", address => sprintf('203.0.113.%d:%d',
            1 + $i % 250, 40000 + $i),
        up => $up ? JSON::PP::true : JSON::PP::false,
        since => $up ? SINCE + $i * 37 % 9000 : $now - 60 - $i * 13 % 3000,
        tunnels => $up ? 4 + $streams : 0, idle => $up ? 4 : 0,
        streams => $streams, tunnels_total => 12 + $i % 40,
        streams_total => 100 + $i * 31 % 4000 + int($seconds / 3),
        received_bytes_total => int(1e7 + $i * 1e4 + $flow),
        sent_bytes_total => int(4e7 + $i * 1e5 + 0.6 * $back),
        losses_total => $losses,
        lost => $losses ? $up ? SINCE + $i * 91 % 9000
            : $now - 60 - $i * 13 % 3000 : undef,
        why => $losses ? $why[$i % @why] : '',
        refused_streams_total => $i % 5 ? {} : { refused => 1 + $i % 9 },
    };
}


sub _groups {
    my ($agents) = @_;
    my %groups;

    for my $agent (@$agents) {
        my $group = $groups{$agent->{group}} ||= {
            name => $agent->{group}, entries => 0, reverses => 0,
            waiting => 0, streams => 0, streams_total => 0,
            refused_streams_total => {},
        };

        next if !$agent->{up};

        $group->{$agent->{role} eq 'entry' ? 'entries' : 'reverses'}++;
        $group->{$_} += $agent->{$_} for qw/ streams streams_total /;
    }

    return [ map { $groups{$_} } sort keys %groups ];
}


# the same nginx as an entry and a reverse of other relays

sub _agents_view {
    my ($seconds, $now) = @_;

    my %relay = (role => 'entry', name => 'hall', group => 'office',
        way => 'direct', way_changes_total => 0, tunnels_total => 31,
        failed_total => 4, lost_total => 2);

    my %streams = (streams => 2, streams_total => 400 + $seconds,
        received_bytes_total => 2e6 + 31000 * $seconds,
        sent_bytes_total => 9e6 + 120000 * $seconds,
        refused_streams_total => {});

    return (
        relays => [ {
            %relay, host => 'relay.example.net:4433',
            address => '198.51.100.7:4433', state => 'up',
            since => SINCE + 20, tunnels => 6, idle => 4, dialing => 0,
            failures => 0, next => undef, error => '', failed_at => undef,
        }, {
            %relay, host => 'backup.example.net:4433',
            address => '198.51.100.99:4433', state => 'waiting',
            since => $now - 120, tunnels => 0, idle => 0, dialing => 0,
            failures => 5, next => $now + 8,
            error => 'connect() failed (111: Connection refused)',
            failed_at => $now - 8,
        } ],
        routes => [ { listen => '127.0.0.1:5432',
            destination => 'db.internal:5432', upstream => 'relays',
            %streams } ],
        reverses => [ { group => 'office', name => 'zurich', %streams,
            streams => 0, sent_bytes_total => 3e5 + 900 * $seconds } ],
    );
}


sub _turn {
    my ($seconds) = @_;

    my %bytes = (received_bytes_total => 5e8 + 310000 * $seconds,
        sent_bytes_total => 5e8 + 300000 * $seconds);

    return (
        turn => [ {
            realm => 'example.org', allocations => 14, permissions => 20,
            channels => 11, connections => 0, allocations_total => 900, %bytes,
            received_packets_total => 500000 + 300 * $seconds,
            sent_packets_total => 500000 + 300 * $seconds,
            dropped_packets_total => 3, denied_total => 2,
            unauthenticated_total => 7, refused_total => 0,
            bindings_total => 1200, silenced_total => 0,
        } ],
        turn_users => [ map { {
            name => $_, allocations => length() % 4, allocations_total => 450,
            (map { ($_ => $bytes{$_} / 2) } keys %bytes), denied_total => 1,
        } } qw/ alice bob / ],
        socks5 => [ {
            listen => '127.0.0.1:1080', streams => 3,
            streams_total => 77 + $seconds,
            received_bytes_total => 1e5 + 500 * $seconds,
            sent_bytes_total => 1e6 + 9000 * $seconds,
            unauthenticated_total => 1, invalid_total => 2,
            associated_total => 0, refused_streams_total => { denied => 4 },
        } ],
        socks5_users => [ {
            name => 'carol', streams => 3, streams_total => 77 + $seconds,
            received_bytes_total => 1e5 + 500 * $seconds,
            sent_bytes_total => 1e6 + 9000 * $seconds, denied_total => 4,
        } ],
    );
}


sub write_status {
    my ($t, %status) = @_;
    write_status_text($t, $json->encode(\%status));
}


# A reader gets the old file or the new one.

sub write_status_text {
    my ($t, $text) = @_;
    my $file = $t->testdir() . '/status.json';

    open my $fh, '>:raw', "$file.new" or die "can't write $file: $!\n";
    print {$fh} $text;
    close $fh or die "can't write $file: $!\n";
    rename "$file.new", $file or die "can't rename $file: $!\n";
}


sub page_url {
    return 'http://127.0.0.1:' . port(8080) . '/trp/';
}


# The page is the module's, what it shows is a file.

sub open_page {
    my ($t, %status) = @_;

    $t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # browsers connect in advance, and nginx waits for that when it exits

    client_header_timeout 1s;

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /trp/ {
            trp_status;
        }

        location = /trp/status.json {
            default_type application/json;
            alias %%TESTDIR%%/status.json;
        }
    }
}

EOC

    write_status($t, %status);
    $t->run();

    my $b = Test::Nginx::TRP::Browser->new($t);

    $b->open(page_url());
    $b->wait('Boolean(page.status)') or die "the page shows nothing\n";

    return $b;
}


1;
