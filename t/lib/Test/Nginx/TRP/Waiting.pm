package Test::Nginx::TRP::Waiting;

# Waiting for what a test has caused: a condition, a line of a log, new workers.
# A wait ends as soon as it has happened, with a true value, or after 30 seconds
# (or another timeout) with a false one.

use strict;
use warnings;

use Exporter qw/ import /;
use Time::HiRes qw/ sleep time /;

use Test::Nginx qw/ port /;
use Test::Nginx::TRP::Processes qw/ worker_pids /;

our @EXPORT = qw/
    wait_for wait_log count_log story wait_tunnels tunnels_after
    reload_and_wait
/;

use constant TIMEOUT => 30;


# Returns what the code returns, as soon as it is true.

sub wait_for {
    my ($code, $timeout) = @_;
    my $deadline = time() + ($timeout || TIMEOUT);

    while (1) {
        my $result = $code->();
        return $result if $result || time() >= $deadline;
        sleep 0.02;
    }
}


# Waits for a line in a log; options: count, file, timeout.

sub wait_log {
    my ($t, $re, %opts) = @_;
    my $file = $t->testdir() . '/' . ($opts{file} || 'error.log');
    my $left = $opts{count} || 1;
    my ($fh, $line) = (undef, '');

    return wait_for(sub {
        if (!$fh) {
            open my $new, '<', $file or return 0;
            $fh = $new;
        }

        seek $fh, 0, 1;

        while (defined(my $part = <$fh>)) {
            $line .= $part;
            next if $part !~ /\n\z/;
            return 1 if $line =~ $re && --$left <= 0;
            $line = '';
        }

        return 0;
    }, $opts{timeout});
}


# the number of lines that match

sub count_log {
    my ($t, $re, %opts) = @_;

    open my $fh, '<', $t->testdir() . '/' . ($opts{file} || 'error.log')
        or return 0;

    return scalar grep { /$re/ } <$fh>;
}


# Waits for debug lines of this project that match the first expression, such as
# the number of a connection, and the others one after the other; says "all", or
# which of them is missing.

sub story {
    my ($t, $who, @steps) = @_;
    my @left;

    wait_for(sub {
        @left = @steps;

        for (split /\n/, $t->read_file('error.log')) {
            shift @left if @left && /\[debug\].* trp / && $_ =~ $who
                && $_ =~ $left[0];
        }

        return !@left;
    });

    return @left ? "no $left[0]" : 'all';
}


# Waits until an agent has got so many tunnels to a relay, since it started.

sub wait_tunnels {
    my ($agent, $port, $count) = @_;
    my $addr = '127.0.0.1:' . port($port);

    return wait_log($agent, qr/ tunnel is ready.* relay: \Q$addr\E,/,
        count => $count);
}


# Runs the code, and waits until agents have got more tunnels to a relay than
# before: AGENT, COUNT, and so on.

sub tunnels_after {
    my ($port, $code, @agents) = @_;
    my $addr = '127.0.0.1:' . port($port);
    my @before = map { ref $_
        ? count_log($_, qr/ tunnel is ready.* relay: \Q$addr\E,/) : () }
        @agents;

    $code->();

    while (my ($agent, $count) = splice @agents, 0, 2) {
        wait_tunnels($agent, $port, $count + shift @before) or return 0;
    }

    return 1;
}


# Reloads, and waits until there are as many new workers; the old ones may still
# be busy with their connections.

sub reload_and_wait {
    my ($t) = @_;
    my %old = map { $_ => 1 } worker_pids($t);

    $t->reload();

    return wait_for(sub {
        my @pids = worker_pids($t);
        return @pids == keys %old && !grep { $old{$_} } @pids;
    });
}


1;
