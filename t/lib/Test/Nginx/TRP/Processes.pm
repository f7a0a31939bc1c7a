package Test::Nginx::TRP::Processes;

# nginx seen from outside: what "nginx -t" says, its processes, and what they
# and the kernel's tables of sockets hold.

use strict;
use warnings;

use Exporter qw/ import /;
use POSIX ();

use Test::Nginx ();

our @EXPORT = qw/
    nginx_test nginx_pid worker_pids
    fd_count private_memory anon_memory cpu_time cpu_wait tcp_count dialling
/;
our @EXPORT_OK = qw/ text_of /;


# What "nginx -t" says about nginx.conf.  A report of a sanitizer is all that
# is left then.

sub nginx_test {
    my ($t) = @_;
    my $dir = $t->testdir();

    my $pid = open my $fh, '-|';
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec $Test::Nginx::NGINX, '-t', '-p', "$dir/", '-c', 'nginx.conf',
            '-e', 'error.log' or POSIX::_exit(127);
    }

    my $output = do { local $/; <$fh> };
    close $fh;

    return $output =~ /^(.*(?:Sanitizer|runtime error:).*)$/m ? $1 : $output;
}


# the master

sub nginx_pid {
    my ($t) = @_;
    return $t->read_file('nginx.pid') =~ /^(\d+)/ ? $1 : undef;
}


# the workers that accept connections; the second argument, a regex for the
# process title, selects others, the third is another master

sub worker_pids {
    my ($t, $title, $master) = @_;

    $master = nginx_pid($t) if !defined $master;

    $title = qr/worker process$/ if !defined $title;

    return grep { _parent($_) == $master && _title($_) =~ $title }
        map { m!(\d+)$! } glob '/proc/[0-9]*';
}


sub _parent {
    return _proc($_[0], 'stat') =~ /.*\) \S (\d+)/s ? $1 : 0;
}


sub _title {

    # valgrind hides the title from the kernel
    return 'worker process' if $ENV{TRP_VALGRIND};

    my $title = _proc($_[0], 'cmdline');
    $title =~ s/[\0 ]+$//;
    return $title;
}


sub _proc {
    my ($pid, $name) = @_;
    return text_of("/proc/$pid/$name");
}


# what a file says; nothing, if there is none

sub text_of {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/;
    my $text = <$fh>;
    return defined $text ? $text : '';
}


# open descriptors of the processes

sub fd_count {
    my $count = 0;

    for my $pid (@_) {
        opendir my $dir, "/proc/$pid/fd" or next;
        $count += grep { /^\d+$/ } readdir $dir;
    }

    return $count;
}


# Private memory that the processes have written to, in KiB.  Clean pages are
# those of libraries, which become private when the other processes that use
# them end.

sub private_memory {
    my $total = 0;

    for my $pid (@_) {
        my $text = _proc($pid, 'smaps_rollup');
        $total += $1 while $text =~ /^Private_Dirty: +(\d+)/mg;
    }

    return $total;
}


# What they have allocated, in KiB, whether or not it is shared after fork():
# the measure for a master.

sub anon_memory {
    my $total = 0;

    for my $pid (@_) {
        $total += $1 if _proc($pid, 'status') =~ /^RssAnon:\s+(\d+)/m;
    }

    return $total;
}


# CPU time of the processes so far, in hundredths of a second

sub cpu_time {
    my $total = 0;

    for my $pid (@_) {
        my (undef, $rest) = split /\) /, _proc($pid, 'stat'), 2;
        my @fields = split / /, $rest || '';
        $total += $fields[11] + $fields[12] if @fields > 12;
    }

    return 100 * $total / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}


# seconds that processes were ready to run, but had no CPU: how much of what
# takes long is the machine's fault; 0 where the kernel does not say

sub cpu_wait {
    my $total = 0;

    for my $pid (@_) {
        my (undef, $wait) = split ' ', _proc($pid, 'schedstat');
        $total += $wait || 0;
    }

    return $total / 1_000_000_000;
}


# sockets on a local port that are in a state

sub tcp_count {
    my ($port, $state) = @_;
    my %states = (
        ESTABLISHED => 1, SYN_SENT => 2, FIN_WAIT1 => 4, FIN_WAIT2 => 5,
        TIME_WAIT => 6, CLOSE_WAIT => 8, LAST_ACK => 9, LISTEN => 10,
    );
    my $re = sprintf '^ *\d+: [0-9A-F]+:%04X \S+ %02X ', $port,
        $states{$state || 'ESTABLISHED'};

    return scalar grep { /$re/ }
        map { split /\n/, _proc('net', $_) } qw/ tcp tcp6 /;
}


# attempts to connect to a port that have not been answered

sub dialling {
    my ($port) = @_;

    my $re = sprintf '^ *\d+: \S+ \S+:%04X 02 ', $port;

    return scalar grep { /$re/ } split /\n/, _proc('net', 'tcp');
}


1;
