#!/usr/bin/perl

# Two relays: both are used, and one that goes away costs no user anything.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $first = Test::Nginx->new()->has(qw/stream stream_ssl/);
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

    log_format main "$upstream_addr $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443 fail_timeout=1s;
        server 127.0.0.1:8444 fail_timeout=1s;
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

$_->run() for $first, $second, $reverse, $entry;
$entry->plan(12 + 2 * 3);

my ($one, $two) = map { "127.0.0.1:$_" } port(8443), port(8444);

ok(ready($_, $first) && ready($_, $second), 'tunnels') for $reverse, $entry;

is(users(20), 20, 'both are there');
ok(used($entry, $one) >= 5, 'first');
ok(used($entry, $two) >= 5, 'second');

# one is killed

kill 'KILL', nginx_pid($first), worker_pids($first);
is(users(20), 20, 'one is gone');

# it comes back, and the other one is stopped

$first->stop();
$first->run();

my $before = used($entry, $one);
ok(wait_for(sub { users(1) && used($entry, $one) > $before }), 'is back');

$second->stop();
is(users(20), 20, 'the other one is gone');
is(count_log($entry, qr/ (?!ok$)/, file => 'access.log'), 0, 'nobody else');

# new workers of the entry: who comes before it has any tunnel waits for the
# relay that is not there, and finds the one that is

$before = used($entry, $one);
reload_and_wait($entry);
is(users(20), 20, 'without the other one from the start');
ok(wait_for(sub { used($entry, $one) == $before + 20 }), 'by the first');

$second->run();
ok(ready($reverse, $second), 'is back, too');


# the agent has a tunnel to the relay

sub ready {
    my ($agent, $relay) = @_;
    my $role = -e $agent->testdir() . '/entry' ? 'entry' : 'reverse';

    return wait_log($relay, qr/$role "\S+" .* has a tunnel/);
}

# how many of them got their answer

sub users {
    my ($n) = @_;
    my $good = 0;

    for my $i (1 .. $n) {
        my $s = connect_to(port(8080));
        my $got = '';

        print {$s} "user $i";
        shutdown $s, 1;
        1 while sysread $s, $got, 1024, length $got;

        $good++ if $got =~ /^user $i/;
    }

    return $good;
}

sub used {
    my ($entry, $relay) = @_;

    return count_log($entry, qr/^\Q$relay\E ok$/, file => 'access.log');
}
