#!/usr/bin/perl

# Users come all the time while relays are killed, drained and started again:
# none of them notices but those whose streams a killed relay was carrying.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Time::HiRes qw/ sleep /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

use constant USERS => 2;

my $first = Test::Nginx->new()
    ->has(qw/ stream stream_ssl /);
my $second = Test::Nginx->new();
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

relay_conf($first, 8443);
relay_conf($second, 8444);
reverse_conf($reverse, 8443, 8444);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    map $upstream_addr $relay {
        127.0.0.1:8443 a;
        127.0.0.1:8444 b;
    }

    log_format main "$relay $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_cert($first, $second, $reverse, $entry);
$second->write_file('localhost.key', $first->read_file('localhost.key'));

my $keys = join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse');
$_->write_file('authorized_keys', $keys) for $first, $second;

serve($reverse, port(8090), 'echo');

my @port = (port(8443), port(8444));
my $users = port(8080);

$_->run() for $first, $second, $reverse, $entry;
$entry->plan(25 + 2 * 3);

for my $agent ($reverse, $entry) {
    ok(tunnels($agent, $_) >= 1, 'tunnels') for @port;
}

$entry->run_daemon(\&user, $entry, $users) for 1 .. USERS;

more($entry, 'both');

# killed; as soon as it is back the other one is, which no user may have
# found again by then

killed($first);
more($entry, 'without the first');
back($first, $port[0]);

killed($second);
more($entry, 'by the first alone');
used($entry, 'a');
back($second, $port[1]);
used($entry, 'b');

is(count_log($entry, qr/^(?!ok$)/, file => 'users.log') <= 2 * USERS
    ? 'few' : 'many', 'few', 'users whose streams were lost');
is(odd($entry), '', 'no others');

# drained

my $failed = count_log($entry, qr/^(?!ok$)/, file => 'users.log');

$first->stop();
more($entry, 'the first is drained');
back($first, $port[0]);

$second->stop();
more($entry, 'the second is drained');
used($entry, 'a');
back($second, $port[1]);
used($entry, 'b');

$entry->write_file('stop', '');
$entry->stop_daemons();

is(count_log($entry, qr/^(?!ok$)/, file => 'users.log'), $failed,
    'no user has noticed');
is(odd($entry), '', 'all is well');


# users, one after another

sub user {
    my ($t, $port) = @_;

    open my $fh, '>>', $t->testdir() . '/users.log' or die "users.log: $!\n";

    until (-e $t->testdir() . '/stop') {
        my $ok = visit($port, timeout => 60);
        syswrite $fh, $ok ? "ok\n" : "failed\n";
        sleep 0.005;
    }
}

# many more users have come and gone

sub more {
    my ($t, $name) = @_;
    my $want = 100 + count_log($t, qr/^/, file => 'users.log');

    ok(wait_log($t, qr/^/, file => 'users.log', count => $want,
        timeout => 60), $name);
}

# streams by this relay, from now on

sub used {
    my ($t, $relay) = @_;
    my $re = qr/^$relay 200 ok$/;
    my $before = count_log($t, $re, file => 'access.log');

    ok(wait_log($t, $re, file => 'access.log', count => $before + 10,
        timeout => 60), "users by \"$relay\"");
}

# what is neither good nor a stream that was lost in the middle, or was
# accepted when its ACCEPT was lost

sub odd {
    my ($t) = @_;

    return join "\n",
        grep { !/^[ab] (?:200 (?:ok|aborted)|502 failed)$/ }
        served($t, 'access.log');
}

sub killed {
    my ($t) = @_;
    kill 'KILL', nginx_pid($t), worker_pids($t);
}

# started again, the agents have come back

sub back {
    my ($relay, $port) = @_;

    my @before = map { tunnels($_, $port) } $reverse, $entry;

    $relay->stop();
    $relay->run();

    ok(wait_for(sub { tunnels($reverse, $port) > $before[0] }, 60),
        'tunnels of the reverse');
    ok(wait_for(sub { tunnels($entry, $port) > $before[1] }, 60),
        'tunnels of the entry');
}

sub tunnels {
    my ($t, $port) = @_;
    my $re = qr/ tunnel is ready.* relay: 127\.0\.0\.1:$port,/;
    wait_log($t, $re) if !count_log($t, $re);
    return count_log($t, $re);
}
