#!/usr/bin/perl

# Tests for reloads of each role on QUIC, with 1 and with 4 workers: no
# connection fails, no transfer breaks, nothing is left.
#
#     TRP_RELOADS=100 t/run.sh t/quic/reload_load.t

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Load;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

my $reloads = $ENV{TRP_RELOADS} || 4;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        listen 127.0.0.1:%%PORT_8444_UDP%% udp reuseport;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:%%PORT_8444_UDP%%;
        trp_entry;
        trp_entry_key entry;
        trp_entry_quic on;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 1;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:%%PORT_8444_UDP%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_quic on;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

my %roles = (relay => $relay, entry => $entry, reverse => $reverse);
my @names = qw/ relay entry reverse /;

my $load = Test::Nginx::TRP::Load->new($relay)->serve(port(8081));

$relay->run();
$entry->run();
$reverse->run()->plan(2 * (2 + 3 * 5 - 1) + 4);

for my $workers (1, 4) {
    for my $t (@roles{@names}) {
        my $conf = $t->read_file('nginx.conf');
        $conf =~ s/(?<=worker_processes )\d+/$workers/;
        $t->write_file('nginx.conf', $conf);
    }

    my $before = fresh($workers, @roles{@names});
    my $early;

    $load->start(port(8080), 'short', 4, pause => 0.012);
    $load->start(port(8080), $_, 2) for qw/ up down /;
    $load->start(port(8080), $_, 1, seconds => 2) for qw/ up down /;

    for my $n (1 .. $reloads) {
        changes($_, $workers) for @roles{@names};

        $early = { map { $_ => anon_memory(nginx_pid($roles{$_})) } @names }
            if $n == int(($reloads + 4) / 5);
    }

    my $result = $load->stop();

    cmp_ok($result->{connections}, '>', 3 * $reloads,
        "$workers: there is load");
    is($result->{failures}, 0, 'nothing fails') or diag($result->{texts});

    is(wait_for(sub { all_workers($roles{$_}) == $workers }) || 0, 1,
        "$_: old workers go away") for @names;

    my $after = fresh($workers, @roles{@names}, $before);

    note(sprintf '%d workers: %d reloads of each role, %d connections, '
        . '%d failures, %d MB', $workers, $reloads,
        @$result{qw/ connections failures /}, $result->{bytes} / 1e6);

    for my $name (@names) {
        my $t = $roles{$name};
        my ($old, $new) = ($before->{$t}, $after->{$t});

        note(sprintf '%s: descriptors %s -> %s, memory of the master '
            . '%d -> %d -> %d KiB, of the workers %d -> %d KiB', $name,
            $old->{fds}, $new->{fds}, $old->{master}, $early->{$name},
            $new->{master}, $old->{workers}, $new->{workers});

        # a relay keeps channels for as many processes as there once were

        is($new->{fds}, $old->{fds}, "$name: descriptors")
            if $name ne 'relay';

        SKIP: {
            # it keeps freed memory for a while
            skip 'AddressSanitizer', 2 if $ENV{ASAN_OPTIONS};

            cmp_ok($new->{master}, '<', 1.2 * $early->{$name} + 256,
                'memory of the master');
            cmp_ok($new->{workers}, '<', 1.2 * $old->{workers}
                + 256 * $workers, 'memory of the workers');
        }

        is(count_log($t, qr/\[(?:alert|emerg|crit)\]/), 0, 'no alerts');
    }
}


# Reloads, and has the old ones replaced before it returns.  Old workers with
# transfers stay for some seconds: no more than the machine holds.

sub changes {
    my ($t, $workers) = @_;

    reload_and_wait($t, $workers);
    wait_for(sub { all_workers($t) <= 10 * $workers });
}


sub all_workers {
    return scalar(() = worker_pids($_[0], qr/worker process/));
}


# Reloads everything, so that all workers are new and the pools are small.
# Returns descriptors and memory.

sub fresh {
    my ($workers, $relay, $entry, $reverse, $expected) = @_;
    my ($same, $last, $fds) = (0, '');

    for my $t ($relay, $entry, $reverse) {
        $t->reload();
        wait_for(sub {
            return worker_pids($t) == $workers && all_workers($t) == $workers;
        });
    }

    # without load the number is that of the configuration

    wait_for(sub {
        $fds = { map { $_ => fds($_) } $relay, $entry, $reverse };
        my $now = join ', ', map { $fds->{$_} } sort keys %$fds;
        $same = $now eq $last ? $same + 1 : 0;
        $last = $now;

        return 0 if $same < 10;
        return 1 if !$expected;
        return !grep { $fds->{$_} ne $expected->{$_}{fds} } $entry, $reverse;
    });

    return { map {
        $_ => {
            fds => $fds->{$_},
            master => anon_memory(nginx_pid($_)),
            workers => anon_memory(worker_pids($_)),
        }
    } $relay, $entry, $reverse };
}


# of the master and of all workers

sub fds {
    my ($t) = @_;
    return fd_count(nginx_pid($t)) . ' + ' . fd_count(worker_pids($t));
}
