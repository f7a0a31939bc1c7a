#!/usr/bin/perl

# Tests for reloads under load when users come to the relay's own nginx: no
# connection fails, no transfer breaks, nothing is left.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Load;

my $reloads = $ENV{TRP_RELOADS} || 10;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

hub_conf($hub);
reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

my $load = Test::Nginx::TRP::Load->new($hub)->serve(port(8090));

$hub->run();
$reverse->run()->plan(2 + 2 * 8 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');
ok(visit_load(), 'served');

for my $workers (1, 4) {
    hub_conf($hub, main => "worker_processes $workers;");
    reload_and_wait($hub, $workers);
    ok(wait_for(sub { old_workers($hub) == 0 }), 'the old ones are gone');
    ok(connected(), 'tunnels');

    my $fds = fd_count(worker_pids($hub));

    $load->start(port(8080), 'short', 4, pause => 0.012);
    $load->start(port(8080), $_, 2) for qw/ up down /;
    $load->start(port(8080), $_, 1, seconds => 2) for qw/ up down talk /;

    for my $n (1 .. $reloads) {
        reload_and_wait($hub, $workers);
        reload_and_wait($reverse);
    }

    my $result = $load->stop();

    note("$workers workers: $reloads reloads, $result->{connections} "
        . "connections, $result->{failures} failures, "
        . int($result->{bytes} / 1e6) . ' MB');

    cmp_ok($result->{connections}, '>', 3 * $reloads, 'there is load');
    is($result->{failures}, 0, 'nothing fails') or diag($result->{texts});

    ok(wait_for(sub { old_workers($hub) == 0 }), 'old workers go away');
    ok(wait_for(sub { fd_count(worker_pids($hub)) <= $fds }, 90),
        'descriptors');
    is(count_log($hub, qr/^(?!ok 200)/, file => 'access.log'), 0,
        'access log');
    is(count_log($hub, qr/\[(?:alert|emerg|crit)\]/), 0, 'no alerts');
}


# of this generation, whatever worker has the group

sub connected {
    return wait_for(sub { tcp_count(port(8443)) >= 4 });
}


sub visit_load {
    my $s = connect_to(port(8080));
    close $s;
    return wait_for(sub { count_log($hub, qr/./, file => 'access.log') });
}


sub old_workers {
    my ($t) = @_;
    my $pid = nginx_pid($t);

    return scalar(grep { m/is shutting down/ }
        qx/ps -o args= --ppid $pid/);
}
