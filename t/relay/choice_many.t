#!/usr/bin/perl

# What an OPEN costs the relay does not grow with the reverses of its group,
# which have the same key and names of their own.
#
# TRP_AGENTS is their number; prove -v shows the processor time of an OPEN.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use POSIX ();

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

use constant {
    AGENTS => $ENV{TRP_AGENTS} || 500,
    STREAMS => 500,
    ROUNDS => 3,
};

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

plan(skip_all => 'too few descriptors')
    if (POSIX::sysconf(POSIX::_SC_OPEN_MAX()) || 0) < 1.2 * AGENTS + 200;

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections CONNECTIONS;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log error;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_heartbeat 1h;
        trp_authorized_keys authorized_keys;
    }
}

EOC

# a part of them is not for reverses

my $connections = int 1.3 * AGENTS + 200;

$relay->write_file_expand('nginx.conf', $conf =~ s/CONNECTIONS/$connections/r);

trp_cert($relay);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($relay, qw/ entry reverse /));
$relay->run()->plan(3);

my $dir = $relay->testdir();
my $worker;
wait_for(sub { ($worker) = worker_pids($relay) });
my $ids = 0;

# The first of them has such a weight that it has all turns, once the others
# had one: its tunnel is in the cache, however many others there are.

my %groups = map { $_ => {
    entry => agent('entry', $_),
    reverses => [ agent('reverse', $_, 'first', 65535) ],
} } qw/ one many /;

push @{$groups{many}->{reverses}}, agent('reverse', 'many', "agent$_")
    for 1 .. AGENTS;

for (qw/ one many /) {
    my @all = @{$groups{$_}->{reverses}};

    my $entry = $groups{$_}->{entry};

    is(scalar(grep { stream($entry, $_) } @all), @all, 'each has a turn');
}

# in turns, as the machine may be busy with other things at times

my %time = (one => 0, many => 0);

for (1 .. ROUNDS) {
    for my $name (qw/ one many /) {
        my $before = cpu();
        my ($entry, $first) = ($groups{$name}->{entry},
            $groups{$name}->{reverses}->[0]);

        stream($entry, $first) or die "no stream\n" for 1 .. STREAMS;
        $time{$name} += cpu() - $before;
    }
}

note(sprintf 'one of %d agents: %.0f us for a stream, alone: %.0f us',
    AGENTS + 1, map { 1e6 * $_ / ROUNDS / STREAMS } @time{qw/ many one /});

# it is measured in hundredths of a second

cmp_ok($time{many}, '<', 1.5 * $time{one} + 0.02, 'processor time');

$_->close() for map { $_->{entry}, @{$_->{reverses}} } values %groups;


sub agent {
    my ($role, $group, $name, $weight) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443),
        key => "$dir/$role", role => $role, group => $group,
        name => $name || 'raw', weight => $weight || 1);
}


# true if the relay chooses this reverse, and that it is refused goes back

sub stream {
    my ($entry, $reverse) = @_;

    $entry->send('OPEN', open_payload(port => 80,
        id => sprintf 'id%06d', ++$ids));

    $reverse->expect('OPEN') or return 0;
    $reverse->write(frame('REFUSE', refuse_payload('not_allowed', 0)));
    $entry->expect('REFUSE') or return 0;
    $entry->write(frame('DONE') . frame('RESET'));

    return $reverse->expect('DONE') && $reverse->expect('RESET');
}


# of the worker, in seconds

sub cpu {
    open my $fh, '<', "/proc/$worker/stat" or die "no stat: $!\n";

    # user and system, in hundredths

    my ($user, $system) = (split ' ', <$fh> =~ s/.*\) //r)[11, 12];
    return ($user + $system) / 100;
}
