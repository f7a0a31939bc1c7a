#!/usr/bin/perl

# Tests for allocations that live through reloads: the number of workers stays
# or changes, clients over UDP, TCP and TLS lose nothing, each of their
# requests is answered, and old workers go when their allocations end.  Over
# UDP each worker has a socket, on one address or on all, or all have one.
#
#     TRP_RELOADS=100 t/run.sh t/turn/reload.t

use strict;
use warnings;

use Test::More;

use MIME::Base64 qw/ encode_base64 /;
use POSIX ();

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $reloads = $ENV{TRP_RELOADS} || 20;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen %%PORT_8481_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8482_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        listen 127.0.0.1:%%PORT_8480%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 20000-31999;
        trp_turn_user user:pass;
        trp_turn_secret north;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_unauthenticated_rate 1000r/s;
    }
}

EOC

# REST credentials of a time that has not come

my $name = (time() + 3600) . ':someone';
my @rest = ('-u', $name, '-w', stun_rest('north', $name));

# Most of the clients stay for all reloads, with a request now and then.  Some
# start anew ten times a second, so that each generation has allocations.

my %load = (
    udp => [ qw/ -m 20 -r 1000 -R 20 127.0.0.1 /, port(8478, udp => 1) ],
    fresh => [ @rest, qw/ -m 10 -r 200 -R 50 -c 100 127.0.0.1 /,
        port(8478, udp => 1) ],
    send => [ @rest, qw/ -m 4 -r 100 -R 50 -s 127.0.0.1 /,
        port(8478, udp => 1) ],
    any => [ qw/ -m 10 -r 500 -R 20 127.0.0.1 /, port(8481, udp => 1) ],
    shared => [ qw/ -m 10 -r 500 -R 20 127.0.0.1 /, port(8482, udp => 1) ],
    tcp => [ qw/ -m 4 -r 200 -R 50 -t 127.0.0.1 /, port(8479) ],
    tls => [ @rest, qw/ -m 4 -r 200 -R 50 -S -l 500 127.0.0.1 /, port(8480) ],
    many => [ qw/ -m 4 -r 100 -R 50 -c 200 -S 127.0.0.1 /, port(8480) ],
);

my %pids;

END {
    local $?;
    kill 'KILL', values %pids if %pids;
}

trp_cert($t);
build($t);
$t->run()->plan(2 * (6 * keys(%load) + 3));

for my $change ('2 workers', '2, 4, 2 workers') {
    settled($t);
    my $fds = fd_count(nginx_pid($t));

    start($t, $_, @{$load{$_}}) for sort keys %load;
    moved($t, 1);

    for my $n (1 .. $reloads) {
        reload($t, $change eq '2 workers' || $n % 2 == 0 ? 2 : 4);
        moved($t, 20);
    }

    kill 'TERM', values %pids;

    my %result = map { $_ => result($t, $_) } sort keys %load;

    for my $name (sort keys %load) {
        my $r = $result{$name};

        note("$change, $reloads reloads, $name: ",
            join ', ', map { "$r->{$_} $_" } qw/ sent at_peer received
                lost requests again allocations /);

        cmp_ok($r->{sent} || 0, '>', 20 * $reloads, "$change: $name");
        is($r->{lost}, 0, 'nothing lost');
        is("$r->{duplicate} $r->{wrong}", '0 0', 'nothing twice or changed');
        is($r->{answers}, $r->{requests}, 'all requests answered');
        is("$r->{unanswered} $r->{errors}", '0 0', 'no errors');
        is($r->{exit}, 0, 'allocations deleted') or diag($r->{text});
    }

    is(wait_for(sub { all_workers($t) == 2 }), 1, "$change: old workers end")
        or diag(all_workers($t) . ' workers');

    settled($t);
    is(fd_count(nginx_pid($t)), $fds, 'descriptors of the master');
    is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');
}


sub build {
    my ($t) = @_;

    system('${CC:-cc} -O1 -o ' . $t->testdir() . '/turn_load'
        . ' ../../bench/turn_load.c -lssl -lcrypto') == 0
        or die "turn_load does not compile\n";
}


# reloads with so many workers, and waits until they are the ones that serve

sub reload {
    my ($t, $workers) = @_;
    my %old = map { $_ => 1 } worker_pids($t);

    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
        =~ s/(?<=worker_processes )\d+/$workers/r);
    $t->reload();

    wait_for(sub {
        my @pids = worker_pids($t);
        return @pids == $workers && !grep { $old{$_} } @pids;
    }) or die "no new workers\n";
}


# no trace of generations before, nor processes that wait to be reaped

sub settled {
    my ($t) = @_;

    for (1 .. 2) {
        reload($t, 2);
        wait_for(sub { (() = worker_pids($t, qr/^/)) == 2 });
    }
}


sub all_workers {
    my @pids = worker_pids($_[0], qr/worker process/);
    return scalar @pids;
}


# a load in a process of its own; its messages are in NAME.log

sub start {
    my ($t, $name, @args) = @_;
    my $dir = $t->testdir();

    $t->write_file("$name.log", '');
    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDOUT, '>', "$dir/$name.log";
        open STDERR, '>&', \*STDOUT;
        exec "$dir/turn_load", '-v', @args or POSIX::_exit(127);
    }

    $pids{$name} = $pid;
}


# until each load has got so many datagrams back

sub moved {
    my ($t, $count) = @_;
    my %before = map { $_ => received($t, $_) } keys %pids;

    for my $name (keys %pids) {
        wait_for(sub { received($t, $name) >= $before{$name} + $count })
            or diag("$name does not go on\n" . $t->read_file("$name.log"));
    }
}


sub received {
    my ($t, $name) = @_;
    return $t->read_file("$name.log") =~ /.*^\d+ (\d+) \d+\n/ms ? $1 : 0;
}


sub result {
    my ($t, $name) = @_;

    waitpid delete $pids{$name}, 0;
    my %result = (exit => $?, text => $t->read_file("$name.log"));

    $result{text} =~ s/^\d+ \d+ \d+\n//mg;
    $result{$1} = $2 while $result{text} =~ /(\w+)=([\d.]+)/g;

    return \%result;
}
