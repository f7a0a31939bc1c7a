#!/usr/bin/perl

# Tests for many groups that come and go: memory and descriptors are given back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

use constant {
    ROUND => 25,
    ROUNDS => 40,
};

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_group  g$trp_destination_port;
        trp_entry_groups max=50 inactive=100ms;
        trp_entry_pool   idle=1;
        trp_entry_key    entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry);
$relay->write_file('authorized_keys', trp_keys($entry, 'entry'));

$relay->run();
$entry->run()->plan(6 + 2);

my $descriptors = fd_count(worker_pids($entry));
my ($users, $given_up, $most) = (0, 0, 0);

ok(rounds(ROUNDS / 2), 'some groups');
my $memory = $most;

ok(rounds(ROUNDS / 2), 'as many more');

cmp_ok($most - $memory, '<', 500, 'memory does not grow')
    or diag($most - $memory . ' KiB for ' . ROUND * ROUNDS / 2 . ' groups');

is(count_log($entry, qr/ has a user, (?:\d|1\d|2[0-5]) of 50 groups /),
    ROUND * ROUNDS, 'no more than there are users');
is(count_log($entry, qr/tunnel is ready.* group: "g\d+"/) >= ROUND * ROUNDS, 1,
    'each has had a tunnel');
ok(wait_for(sub { fd_count(worker_pids($entry)) == $descriptors }),
    'no descriptor is left');


# users of groups without a reverse, who leave when they have a tunnel

sub rounds {
    for (1 .. $_[0]) {

        my @s = map { my $s = connect_to(port(8080));
            syswrite $s, socks_greeting(0)
                . socks_request('127.0.0.1:' . ++$users);
            $s } 1 .. ROUND;

        return 0 if !wait_log($entry, qr/tunnel is ready/, count => $users);

        my $now = private_memory(worker_pids($entry));
        $most = $now if $now > $most;

        close $_ for @s;

        return 0 if !wait_log($entry, qr/ is not used, its tunnels are given up/,
            count => $given_up += ROUND);
    }

    return wait_for(sub { fd_count(worker_pids($entry)) == $descriptors });
}
