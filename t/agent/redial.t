#!/usr/bin/perl

# Many agents whose relay is gone for a while: each dials again after a random
# time of an interval that doubles, so they do not come in step, neither while
# it is gone nor when it is back.
#
# TRP_AGENTS is their number; prove -v shows when they have dialled.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use List::Util qw/ max sum /;
use Time::HiRes qw/ sleep time /;

use Test::Nginx;
use Test::Nginx::TRP;

use constant AGENTS => $ENV{TRP_AGENTS} || 200;

# what the machine, being busy, has made of the last dials: seconds that the
# processes have waited for a CPU, the most at a time and in all

my ($stall, $waited);

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $agents = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', quiet(<<'EOC'));

%%TEST_GLOBALS%%

daemon off;
%%LIMIT%%

events {
    worker_connections 8192;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:8443 ssl backlog=4096;
        ssl_protocols TLSv1.3;
        ssl_certificate relay.crt;
        ssl_certificate_key relay.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

# the names for TLS tell the agents apart before there is any TLS

$agents->write_file_expand('nginx.conf', quiet(<<'EOC' . agents() . "}\n"));

%%TEST_GLOBALS%%

daemon off;
%%LIMIT%%

events {
    worker_connections 8192;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    trp_reverse_key agent;
    trp_reverse_pool idle=1;
    trp_reverse_ssl_trusted_certificate ca.crt;

    upstream relay {
        server 127.0.0.1:8443;
    }

EOC

trp_ca($relay, 'ca');
trp_issue($relay, 'ca', 'relay', names => 'DNS:*.agents.test');
$agents->write_file('ca.crt', $relay->read_file('ca.crt'));
$relay->write_file('authorized_keys', trp_keys($agents, 'agent'));

less_log($_) for $relay, $agents;

$relay->run();
$agents->run()->plan(10 + 2);

is(tunnels($relay, 0, AGENTS), AGENTS, 'all are there');

# it is gone: some attempts fail, and the intervals are longer

$relay->stop();
ok(wait_log($agents, qr/connect\(\) failed/, count => 4 * AGENTS,
    timeout => 120), 'all have dialled in vain');

my @dials = dials(port(8443), 2 * AGENTS);
my ($first, $second) = ([ @dials[0 .. AGENTS - 1] ],
    [ @dials[AGENTS .. 2 * AGENTS - 1] ]);

show('dials in vain', @dials);

# those that dial while nobody looks come together

cmp_ok(peak(@$_), '<', AGENTS / 5 + $stall * AGENTS,
    'no tenth of a second with a fifth of them') for $first, $second;
isnt(order(@$first), order(@$second), 'not in the same order again');
cmp_ok(span(@$second), '>', span(@$first) - $waited, 'less and less often');

# it is back, and so are they

my $seen = -s $relay->testdir() . '/error.log';
$relay->run();
my @back = tunnels($relay, $seen, AGENTS);
show('back', @back);

is(@back, AGENTS, 'all are back');
# the relay itself may be slow to begin with

cmp_ok(peak(@back), '<', AGENTS / 2, 'not all at once');

# the next time they begin with short intervals again

$relay->stop();
@dials = dials(port(8443), AGENTS);
show('dials after a success', @dials);
cmp_ok(span(@dials) - $waited, '<', span(@$second) / 2, 'quick again');

$seen = -s $relay->testdir() . '/error.log';
$relay->run();
@back = tunnels($relay, $seen, AGENTS);
show('back', @back);
is(@back, AGENTS, 'all are back again');


sub agents {
    return join '', map { <<"EOC" } map { sprintf 'a%04d', $_ } 1 .. AGENTS;
    server {
        trp_reverse relay;
        trp_reverse_name $_;
        trp_reverse_ssl_name $_.agents.test;
        proxy_pass \$trp_destination;
    }

EOC
}

sub quiet {
    my ($conf) = @_;
    my $limit = AGENTS > 200 ? 'worker_rlimit_nofile 8192;' : '';
    return $conf =~ s/%%LIMIT%%/$limit/r;
}

# a log of debug messages would take more time than what it tells of

sub less_log {
    my ($t) = @_;
    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
        =~ s/(error_log \S+) debug;/$1 info;/r);
}

# Stands in for the relay, but closes at once: times and names of so many
# that dial.

sub dials {
    my ($port, $count) = @_;
    my $listener = listener($port);
    my $select = IO::Select->new($listener);
    my @pids = ($$, worker_pids($agents));
    my $before = my $last = cpu_wait(@pids);
    my (@dials, %time);

    $stall = 0;

    while (@dials < $count && (my @ready = $select->can_read(60))) {
        my $now = cpu_wait(@pids);
        $stall = max($stall, $now - $last);
        $last = $now;

        for my $s (@ready) {
            if ($s == $listener) {
                my $new = $listener->accept() or next;
                $time{$new} = time();
                $select->add($new);
                next;
            }

            sysread $s, my $hello, 4096;
            push @dials, [ delete $time{$s}, $1 ]
                if $hello =~ /(a\d{4})\.agents\.test/;
            $select->remove($s);
            close $s;
        }
    }

    $waited = cpu_wait(@pids) - $before;
    note(sprintf 'waited for a CPU: %.3f s, at most %.3f s at a time', $waited,
        $stall);

    die "only " . @dials . " have dialled\n" if @dials < $count;
    return sort { $a->[0] <=> $b->[0] } @dials[0 .. $count - 1];
}

# the same of those that have a tunnel, as the log of the relay grows

sub tunnels {
    my ($t, $seen, $count) = @_;
    my ($line, @tunnels, %seen) = '';

    wait_for(sub { -e $t->testdir() . '/error.log' });
    open my $fh, '<', $t->testdir() . '/error.log' or die "no log: $!\n";
    seek $fh, $seen, 0;

    wait_for(sub {
        seek $fh, 0, 1;

        while (defined(my $part = <$fh>)) {
            $line .= $part;
            next if $part !~ /\n\z/;
            push @tunnels, [ time(), $1 ]
                if $line =~ / reverse "(a\d+)" .* has a tunnel /
                && !$seen{$1}++;
            $line = '';
        }

        return @tunnels >= $count;
    }, 120);

    return @tunnels;
}

# of these dials

sub span {
    return $_[-1][0] - $_[0][0];
}

sub order {
    return join ' ', map { $_->[1] } @_;
}

sub buckets {
    my ($width, @dials) = @_;
    my @buckets;

    $buckets[($_->[0] - $dials[0][0]) / $width]++ for @dials;
    return map { $_ || 0 } @buckets;
}

sub peak {
    return max(buckets(0.1, @_));
}

sub show {
    my ($name, @dials) = @_;

    note(sprintf '%s: %d in %.1f s, at most %d in 100 ms; in each second: %s',
        $name, scalar @dials, span(@dials), peak(@dials),
        join ' ', buckets(1, @dials));
}
