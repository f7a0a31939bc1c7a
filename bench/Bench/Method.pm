package Bench::Method;

# What is measured.  Each method takes a way and returns figures; those of a
# load also include the cost of the load itself.

use strict;
use warnings;

use IPC::Open2;
use JSON::PP;
use List::Util qw/ max min sum0 /;
use POSIX ();
use Time::HiRes qw/ sleep time /;

use Bench;

my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my $page = POSIX::sysconf(POSIX::_SC_PAGESIZE()) / 1024;

# how long a load runs before it counts, in seconds

use constant { WARM => 1, ADAPT => 3 };

# In the order in which they run.  "place" is where, "only" for which way;
# "fresh" ones start a way themselves.

my @methods = (
    { name => 'up1', title => 'bulk, 1 stream up', code => \&bulk,
        args => [1] },
    { name => 'down1', title => 'bulk, 1 stream down', code => \&bulk,
        args => [1, '-R'] },
    { name => 'up8', title => 'bulk, 8 streams up', code => \&bulk,
        args => [8] },
    { name => 'down8', title => 'bulk, 8 streams down', code => \&bulk,
        args => [8, '-R'] },
    { name => 'keepalive', title => 'requests, keep-alive', code => \&wrk,
        args => ['X: y'] },
    { name => 'new', title => 'requests, each on a new connection',
        code => \&wrk, args => ['Connection: close'] },
    { name => 'connect', title => 'new connections, 16 clients',
        code => \&connects, args => [16] },
    { name => 'rtt16', title => 'new connections, RTT 20 ms per leg,'
        . ' 16 clients', code => \&connects, args => [16], place => 'distant' },
    { name => 'rtt64', title => 'new connections, RTT 20 ms per leg,'
        . ' 64 clients', code => \&connects, args => [64], place => 'distant' },
    { name => 'agent16', title => 'new connections, RTT 20 ms to the reverse,'
        . ' 16 clients', code => \&connects, args => [16], place => 'near' },
    { name => 'parked', title => 'parked tunnels', code => \&parked,
        only => 'trp', fresh => 1 },
    { name => 'open1000', title => 'open idle streams, 1,000',
        code => \&opened, args => [1000], fresh => 1 },
    { name => 'open', title => 'open idle streams, as many as descriptors'
        . ' allow', code => \&opened, fresh => 1 },
    { name => 'groups1', title => '8 groups, 1 relay worker',
        code => \&groups, args => [1], only => 'trp', fresh => 1 },
    { name => 'groups4', title => '8 groups, 4 relay workers',
        code => \&groups, args => [4], only => 'trp', fresh => 1 },
);


sub methods { return @methods }


# iperf3: Mbit/s, and seconds of CPU for each GB

sub bulk {
    my ($way, $o, $streams, @options) = @_;

    my @command = ('iperf3', '-J', '-c', $way->host(), '-p',
        $way->port('iperf'), '-P', $streams, @options);

    iperf($way, $o, @command, '-t', WARM);
    my ($end, %used) = iperf($way, $o, @command, '-t', $o->{seconds});

    my $sum = $end->{sum_received};

    return (%used,
        rate => $sum->{bits_per_second} / 1e6,
        cpu => $used{way} / $sum->{bytes} * 1e9,
    );
}

# a server that has just served another client says "busy" for a moment

sub iperf {
    my ($way, $o, @command) = @_;
    my ($out, %used);

    for (1 .. 20) {
        ($out, %used) = load($way, $o, @command);

        my $end = (eval { decode_json($out) } || {})->{end} || {};
        return ($end, %used) if ($end->{sum_received} || {})->{bytes};

        sleep 0.3;
    }

    die $way->{name}, ": iperf3 has failed: $out\n";
}


# wrk: requests/s, their times in milliseconds, seconds of CPU for each 1,000

sub wrk {
    my ($way, $o, $header) = @_;

    my @command = (qw/ wrk -t1 -c16 --latency -H /, $header);
    my $url = 'http://' . $way->host() . ':' . $way->port('web') . '/';
    my %ms = (us => 0.001, ms => 1, s => 1000, m => 60000);

    load($way, $o, @command, '-d' . WARM . 's', $url);

    $way->resumed();
    my ($out, %used) = load($way, $o, @command, "-d$o->{seconds}s", $url);

    my %p = map { $out =~ /^\s+$_%\s+([\d.]+)(us|ms|s|m)$/m
        ? ("p$_" => $1 * $ms{$2}) : () } 50, 99;
    my ($count) = $out =~ /(\d+) requests in/;
    my ($rate) = $out =~ m!Requests/sec:\s+([\d.]+)!;
    my $errors = sum0($out =~ /^\s+Socket errors: connect (\d+), read (\d+),
        \ write\ (\d+),\ timeout\ (\d+)/x);

    die "$way->{name}: wrk has failed: $out\n" if !$count || !%p;

    my $resumed = $way->resumed($count);

    return (%used, %p,
        rate => $rate,
        cpu => $used{way} / $count * 1000,
        errors => $errors + ($out =~ /Non-2xx.*: (\d+)/ ? $1 : 0),
        defined $resumed ? (resumed => $resumed) : (),
    );
}


# connect_load: connections/s, their times in milliseconds, and seconds of CPU
# for each 1,000

sub connects {
    my ($way, $o, $clients) = @_;

    my @command = (home() . '/connect_load', '-c', $clients);
    my @to = ($way->host(), $way->ports());

    # a pool has time to grow

    load($way, $o, @command, '-d', $clients > 16 ? ADAPT : WARM, @to);
    my ($out, %used) = load($way, $o, @command, '-d', $o->{seconds}, @to);

    my %got = $out =~ /(\w+)=([\d.]+)/g;
    die "$way->{name}: no connections: $out\n" if !$got{connections};

    return (%used,
        cpu => $used{way} / $got{connections} * 1000,
        map { $_ => $got{$_} } qw/ rate errors p50 p90 p99 /,
    );
}


# Memory: one-time costs of the first ones, tables and the peak of a handshake,
# are not counted.

sub opened {
    my ($start, $o, $n) = @_;

    $n ||= $o->{most};

    # 3 descriptors for a stream at some of the roles, and a few tunnels more

    my $pool = 'pool idle=4 max=20000;';
    my $way = $start->(entry => "trp_entry_$pool",
        reverse => "trp_reverse_$pool");
    my @inside = $way->{place}->inside('entry');
    my @command = ('timeout', 120, home() . '/connect_load');
    my @to = ($way->host(), $way->port('web'));

    my $first = hold($o, @inside, @command, qw/ -c 32 -o 64 /, @to);
    my ($before, $kernel) = (used($way), kernel());
    my $rest = hold($o, @inside, @command, qw/ -c 32 -o /, $n, @to);
    my ($after, $then) = (used($way), kernel());

    $_->() for $rest, $first;
    $way->stop();

    return (streams => $n, each_of($after, $before, $n),
        map { ("kernel_$_" => ($then->{$_} - $kernel->{$_}) / $n) }
        keys %$kernel);
}

# the connections of a load that opens them and waits; returns how to end it

sub hold {
    my ($o, @command) = @_;

    my $pid = open2(my $out, my $in, @command);
    my $line = <$out>;

    sleep $o->{settle};
    my $ok = defined $line && $line =~ /^open=/;

    my $end = sub {
        close $in;
        waitpid $pid, 0;
    };

    return $end if $ok;

    $end->();
    die "connections could not be opened\n";
}

# A tunnel has an end at the relay, and one at an entry or a reverse.

sub parked {
    my ($start, $o) = @_;
    my ($few, $n) = (16, 1000);
    my %memory;

    for my $count ($few, $n) {
        my $pool = "pool idle=$count max=20000;";
        my $way = $start->(entry => "trp_entry_$pool",
            reverse => "trp_reverse_$pool");
        my ($relay) = map { $way->pid($_) } 'relay';

        wait_for(sub { sockets($relay) >= 2 * $count }, 60)
            or die "trp: only " . sockets($relay) . " tunnels\n";
        sleep $o->{settle};

        $memory{$count} = used($way);
        $way->stop();
    }

    $n -= $few;

    # twice as many there

    my %each = each_of($memory{$n + $few}, $memory{$few}, $n);
    $each{relay} /= 2;

    return (%each, tunnels => $n);
}

sub sockets {
    return scalar grep { (readlink || '') =~ /^socket/ }
        map { glob "/proc/$_/fd/*" } tree(@_);
}

# private KiB of each role

sub used {
    my ($way) = @_;
    return { map { $_ => memory($way->pid($_))->{Private} } $way->roles() };
}

sub each_of {
    my ($after, $before, $n) = @_;
    my %each = map { $_ => ($after->{$_} - $before->{$_}) / $n } keys %$after;

    return (%each, sum => sum0(values %each));
}

# KiB of buffers of all TCP sockets, and of the kernel's objects, for the whole
# machine

sub kernel {
    my ($pages) = slurp('/proc/net/sockstat') =~ /^TCP:.* mem (\d+)/m;
    my ($slab) = slurp('/proc/meminfo') =~ /^Slab:\s+(\d+)/m;

    return { buffers => ($pages || 0) * $page, objects => $slab || 0 };
}


# Many groups: each one is in one worker of the relay.  Also how many cores
# the relay and its busiest worker take.

sub groups {
    my ($start, $o, $workers) = @_;

    my $way = $start->(groups => 8, relay_workers => $workers,
        workers => $o->{cores} > 2 ? 4 : 1);

    my @relay = tree($way->pid('relay'));
    shift @relay;
    my %before = map { $_ => cpu($_) } @relay;
    my $begin = time();

    my %got = connects($way, $o, 64);

    my $wall = time() - $begin;
    my @cores = map { (cpu($_) - $before{$_}) / $wall } @relay;
    $way->stop();

    return (%got, relay => sum0(@cores), busiest => max(@cores));
}


# Runs a load in the place of users.  Returns its output, and seconds of CPU for
# each second of the load: of the way ("way" is the whole), of the load
# generator and the service, and of everything else on this machine.

sub load {
    my ($way, $o, @command) = @_;
    my @service = (@{$way->{service_pids}}, $way->{place}->links());

    unshift @command, $way->{place}->inside('entry'), qw/ timeout -k 2 /,
        $o->{seconds} + 20;

    my ($pid, $out, $in) = ();
    my ($begin, $busy, $load, $spent) = (time(), busy(),
        cpu(@service) + children(), cpu($way->pids()));

    $pid = open my $fh, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @command
        or die "fork: $!\n";
    $out = do { local $/; <$fh> };
    close $fh;

    my $wall = time() - $begin;
    $spent = cpu($way->pids()) - $spent;
    $load = cpu(@service) + children() - $load;
    $busy = busy() - $busy;

    return (defined $out ? $out : '',
        way => $spent,
        cores => $spent / $wall,
        load => $load / $wall,
        others => max(0, ($busy - $load - $spent) / $wall),
    );
}

sub children {
    my (undef, undef, $user, $system) = times;
    return $user + $system;
}

# all cores, without idle and waiting

sub busy {
    my ($cpu) = slurp('/proc/stat') =~ /^cpu +(.*)/;
    my @ticks = split ' ', $cpu;
    return sum0(@ticks[0 .. 2, 5 .. 7]) / $ticks;
}


1;
