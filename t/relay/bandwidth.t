#!/usr/bin/perl

# Limits of bandwidth: of the key of a reverse, of that of an entry, of a group,
# with users of an entry and of the relay's own nginx.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use POSIX ();
use Socket qw/ SHUT_WR /;
use Time::HiRes qw/ sleep time /;

use Test::Nginx;
use Test::Nginx::TRP;

use constant RATE => 512 * 1024;
use constant BYTES => 2 * RATE;
use constant CHUNK => 16384;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $hub = Test::Nginx->new();
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', relay_head() . <<'EOC');
    server {
        listen 127.0.0.1:8443 ssl;
        trp_relay;
    }
}

EOC

$hub->write_file_expand('nginx.conf', relay_head() . <<'EOC');
    server {
        listen 127.0.0.1:8444 ssl;
        trp_relay;
        trp_relay_limit_group rate=512k;
    }

    upstream local {
        trp_entry local;
        trp_entry_group group;
    }

    server {
        trp_route %%PORT_8086%%:80 bind=127.0.0.1;
        trp_route %%PORT_8087%%:81 bind=127.0.0.1;
        proxy_pass local;
    }
}

EOC

# a group for each pair of keys

my @groups = ([ 'free', 'slow', 8080 ], [ 'slow', 'free', 8082 ],
    [ 'free', 'free', 8084 ]);

$entry->write_file_expand('nginx.conf', head() . join('', map { <<"EOC" }
    upstream $_->[2] {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key $_->[0];
        trp_entry_group $_->[2];
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_$_->[2]%%:80 bind=127.0.0.1;
        trp_route %%PORT_@{[ $_->[2] + 1 ]}%%:81 bind=127.0.0.1;
        proxy_pass $_->[2];
    }

EOC
    @groups) . "}\n");

$reverse->write_file_expand('nginx.conf', head() . join('', map { <<"EOC" }
    upstream $_->[2] {
        server 127.0.0.1:$_->[3];
    }

    server {
        trp_reverse $_->[2];
        trp_reverse_key $_->[1];
        trp_reverse_group $_->[2];
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass 127.0.0.1:\$service;
    }

EOC
    (map { [ @$_, 8443 ] } @groups), [ '', 'free', 'group', 8444 ])
    . <<"EOC");
    map \$trp_destination_port \$service {
        80 %%PORT_8091%%;
        81 %%PORT_8092%%;
    }
}

EOC

trp_cert($relay, $hub, $entry, $reverse);
$hub->write_file('localhost.key', $relay->read_file('localhost.key'));

my @keys = map { (trp_keys($_, 'free'), 'limit="rate=512k" '
    . trp_keys($_, 'slow')) } $entry, $reverse;

$_->write_file('authorized_keys', join "\n", @keys, '') for $relay, $hub;

serve($relay, port(8091), 'flood', bytes => BYTES / 2);
serve($relay, port(8092), 'discard');

$_->run() for $relay, $hub, $reverse, $entry;
$relay->plan(16 + 3 * 2);

wait_log($relay, qr/reverse .* has a tunnel/, count => 12);
wait_log($hub, qr/reverse .* has a tunnel/, count => 4);

my ($worker) = worker_pids($relay);
my $cpu = cpu_time($worker);

for ([ 8080, 'key of the reverse' ], [ 8082, 'key of the entry' ],
    [ 8086, 'group' ])
{
    my ($port, $what) = @$_;

    # two at once share it

    is(speed(sub { down($port, 2) }), 'as it should be', "$what, down");
    is(speed(sub { up($port + 1, 2) }), 'as it should be', "$what, up");

    # each direction has its own

    is(speed(sub { both($port) }), 'as it should be', "$what, both directions");

    is(fair($port), 'fair', "$what, fair");
}

# more than one chunk is due to each when the worker runs again

is(fair(8086, worker_pids($hub)), 'fair', 'group, fair after each pause');

cmp_ok(cpu_time($worker) - $cpu, '<', 300, 'no busy loop');

# others are not held up

my $start = time();
down(8084, 2) for 1 .. 8;
cmp_ok((time() - $start) / 8, '<', 0.9 * BYTES / RATE, 'without limit, down');

$start = time();
up(8085, 2) for 1 .. 8;
cmp_ok((time() - $start) / 8, '<', 0.9 * BYTES / RATE, 'without limit, up');


# The time that a transfer takes to what it should: never less, but for the
# tenth of a second's worth that the limit lets pass at first, and a chunk of
# each that is overdrawn in the end; the clock may be some ms old.  More only
# if the machine is busy: the best of some tries counts, without the time that
# the processes have waited for a CPU.

sub speed {
    my ($transfer) = @_;
    my $least = 1 - (RATE / 10 + 2 * CHUNK) / BYTES - 0.005;
    my @pids = ($$, map { worker_pids($_) } $relay, $hub, $entry, $reverse);
    my @all;

    for (1 .. 6) {
        my ($start, $wait) = (time(), cpu_wait(@pids));
        $transfer->();

        my ($time, $waited) = map { $_ / (BYTES / RATE) }
            time() - $start, cpu_wait(@pids) - $wait;

        push @all, sprintf '%.2f (waited %.2f)', $time, $waited;
        return "too fast: $all[-1]" if $time < $least;
        return 'as it should be' if $time - $waited <= 1.1;
    }

    return "too slow: @all";
}


# so many users at once read as much as they are sent

sub down {
    my ($port, $n) = @_;
    return drain_all(map { connect_to(port($port)) } 1 .. $n);
}


sub up {
    my ($port, $n) = @_;
    my @users = map { connect_to(port($port)) } 1 .. $n;
    send_all(map { [ $_, BYTES / $n ] } @users);
    shutdown $_, SHUT_WR for @users;

    # the digest
    readline $_ for @users;
}


sub both {
    my ($port) = @_;
    my $pid = fork();

    if (!$pid) {
        down($port, 2);
        POSIX::_exit(0);
    }

    up($port + 1, 2);
    waitpid $pid, 0;
}


# Of four who read, none gets much less than another, from when all have begun
# until the first one has all; processes to be stopped now and then meanwhile.

sub fair {
    my ($port, @pause) = @_;
    my @shares;

    for (1 .. 4) {
        my @users = map { connect_to(port($port)) } 1 .. 4;
        my ($min, $max) = shares(\@pause, @users);

        push @shares, "$min of $max";
        close $_ for @users;
        return 'fair' if $max > BYTES / 8 && $min > 0.8 * $max;
    }

    return join ', ', @shares;
}


sub shares {
    my ($pause, @users) = @_;
    my $select = IO::Select->new(@users);
    my (%got, %before);

    while (1) {
        for my $s ($select->can_read(30)) {
            $got{$s} += sysread($s, my $data, 65536) || return (0, 0);
            next if $got{$s} < BYTES / 2;
            return (0, 0) if !%before;
            return (sort { $a <=> $b } map { $got{$_} - $before{$_} }
                keys %got)[0, -1];
        }

        %before = %got if !%before && keys %got == @users;

        if (@$pause) {
            kill 'STOP', @$pause;
            sleep 0.1;
            kill 'CONT', @$pause;
            sleep 0.05;
        }
    }
}


sub drain_all {
    my (@users) = @_;
    my $select = IO::Select->new(@users);
    my %got;

    while ($select->count()) {
        for my $s ($select->can_read(10)) {
            my $n = sysread $s, my $data, 65536;
            $got{$s} += $n || 0;
            next if $n && $got{$s} < BYTES / 2;
            $select->remove($s);
        }
    }
}


sub send_all {
    my (@users) = @_;
    my $data = 'x' x 65536;

    $_->[0]->blocking(0) for @users;

    while (@users) {
        IO::Select->new(map { $_->[0] } @users)->can_write(10);

        for (@users) {
            my $size = $_->[1] < 65536 ? $_->[1] : 65536;
            my $n = syswrite $_->[0], $data, $size;
            $_->[1] -= $n || 0;
        }

        $_->[0]->blocking(1) for grep { $_->[1] == 0 } @users;
        @users = grep { $_->[1] > 0 } @users;
    }
}


sub head {
    return <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

EOC
}


sub relay_head {
    return head() . <<'EOC';
    trp_authorized_keys authorized_keys;
    ssl_protocols TLSv1.3;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

EOC
}
