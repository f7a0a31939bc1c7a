package Bench;

# What the benchmarks share: a directory, processes that end with the
# benchmark, nginx, free ports, and a look at what processes have used.

use strict;
use warnings;

use Cwd qw/ abs_path /;
use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw/ clock_gettime sleep /;

our @EXPORT = qw/
    prepare compiled certificate key home
    spawn nginx end free slurp wait_for
    tree cpu memory median figure
/;

my ($root, $dir, $binary, $modules, %pids);
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());

END { local $?; kill 'TERM', keys %pids if %pids; }

$SIG{INT} = $SIG{TERM} = sub { print STDERR "ended by SIG$_[0]\n"; exit 1 };
$SIG{PIPE} = 'IGNORE';


# Packages and modules; returns a directory for the time of the benchmark.

sub prepare {
    my ($packages) = @_;

    chdir dirname(abs_path(__FILE__)) . '/..' or die "chdir: $!\n";

    system('scripts/packages', $packages || 'bench') == 0 or exit 1;
    system('make') == 0 or exit 1;

    $root = abs_path('.');
    ($binary) = grep { -x } '/usr/sbin/nginx', '/usr/bin/nginx';
    ($modules) = `$binary -V 2>&1` =~ /--modules-path=(\S+)/;

    return $dir = tempdir('trp-bench.XXXXXX', TMPDIR => 1, CLEANUP => 1);
}


sub home { return $dir }


# a load generator of this directory

sub compiled {
    my ($name, @libraries) = @_;

    system("\${CC:-cc} -O2 -o $dir/$name bench/$name.c @libraries") == 0
        or exit 1;

    return "$dir/$name";
}


# server.crt and server.key; auth and authorized_keys

sub certificate {
    system('examples/bin/trp-gen-cert x509 --dns localhost --ip 127.0.0.1'
        . " -o $dir > /dev/null") == 0 or die "no certificate\n";
}

sub key {
    system("examples/bin/trp-gen-cert ed25519 -o $dir > $dir/authorized_keys")
        == 0 or die "no key\n";
}


# A process that ends with the benchmark, even if that is killed.

my @guard = qw/ setpriv --pdeathsig TERM -- /;

sub spawn {
    my ($log, @command) = @_;

    my $pid = fork;
    die "fork: $!\n" if !defined $pid;

    if (!$pid) {
        open STDOUT, '>>', $log;
        open STDERR, '>&', \*STDOUT;
        chdir $dir;
        exec @guard, @command or POSIX::_exit(127);
    }

    $pids{$pid} = 1;
    return $pid;
}

sub end {
    my ($pid) = @_;

    kill 'TERM', $pid;

    for (1 .. 100) {
        last if waitpid $pid, POSIX::WNOHANG();
        sleep 0.05;
        kill 'KILL', $pid if $_ == 99;
    }

    delete $pids{$pid};
}


# An nginx with a directory, these modules of ours, and stream if it is used;
# one worker.  The rest is a command that starts it.  Returns its pid.

sub nginx {
    my ($name, $roles, $conf, @inside) = @_;

    my $objs = $ENV{OBJS} || 'objs';
    $objs = "$root/$objs" if $objs !~ m!^/!;

    my $load = join ' ', map { "load_module $_;" }
        $conf =~ /\bstream\s*\{/ ? "$modules/ngx_stream_module.so" : (),
        map { "$objs/ngx_${_}_module.so" }
        map { $_ eq 'status' ? 'http_trp_status' : "trp_$_" } @$roles;

    mkdir "$dir/$name";
    open my $fh, '>', "$dir/$name.conf" or die "open: $!\n";
    print {$fh} "$load\ndaemon off;\npid $dir/$name/pid;\n",
        $> == 0 ? "user root;\n" : '', "error_log $dir/$name/error.log;\n",
        $conf =~ /\bevents\s*\{/ ? ''
            : "events { worker_connections 8192; }\n", "$conf\n";
    close $fh;

    return spawn("$dir/$name/stderr.log", @inside, $binary, '-p', "$dir/$name",
        '-e', "$dir/$name/error.log", '-c', "$dir/$name.conf");
}


# ports that are free for TCP and UDP, below those of clients, and different
# each time

my %given;

sub free {
    my ($n) = @_;
    my %found;

    for (1 .. 5000) {
        my $port = 9000 + int rand 20_000;
        my @at = (LocalAddr => '127.0.0.1', LocalPort => $port);

        next if $given{$port} || !IO::Socket::INET->new(Proto => 'udp', @at)
            || !IO::Socket::INET->new(Proto => 'tcp', Listen => 1, @at);

        $found{$port} = 1;
        next if keys %found < $n;

        %given = (%given, %found);
        return keys %found;
    }

    die "no free ports\n";
}


# a process and all below it

sub tree {
    my ($pid) = @_;
    my @children = split ' ', join ' ',
        map { slurp($_) } glob "/proc/$pid/task/*/children";

    return ($pid, map { tree($_) } @children);
}

# seconds of all their threads and of children that have ended: the clock of
# a process, as clock_getcpuclockid() has it, and ticks

sub cpu {
    my $total = 0;

    for my $pid (map { tree($_) } @_) {
        my $seconds = clock_gettime(-8 * ($pid + 1) + 2);
        my @stat = split ' ', slurp("/proc/$pid/stat") =~ s/.*\)//sr;

        $total += $seconds if $seconds > 0;
        $total += ($stat[13] + $stat[14]) / $ticks if @stat > 14;
    }

    return $total;
}

sub memory {
    my ($pid) = @_;
    my %total;

    for my $text (map { slurp("/proc/$_/smaps_rollup") } tree($pid)) {
        $total{$1} += $2
            while $text =~ /^(Rss|Pss|Private)(?:_Clean|_Dirty)?: +(\d+)/mg;
    }

    return \%total;
}


sub wait_for {
    my ($code, $seconds) = @_;

    for (1 .. 20 * ($seconds || 10)) {
        return 1 if $code->();
        sleep 0.05;
    }

    return;
}

sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar(<$fh>) || '';
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return ($sorted[$#sorted / 2] + $sorted[@sorted / 2]) / 2;
}

sub figure {
    my ($value) = @_;
    return sprintf $value >= 1000 ? '%d' : $value >= 100 ? '%.0f' : '%.2f',
        $value;
}


1;
