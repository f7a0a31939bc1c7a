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

# Sessions of TLS would be seen with a relay, the pools themselves only after
# more groups, for which there is none.

use constant LEAK => 1500;

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
        trp_entry_groups max=100 inactive=100ms;
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
$entry->run()->plan(7 + 2);

my $descriptors = fd_count(worker_pids($entry));
my ($users, $given_up, $most) = (0, 0, 0);

my $tunnel = qr/tunnel is ready.* group: "g\d+"/;
my $user = qr/ has a user, \d+ of 100 groups /;

ok(rounds(10, 25, $tunnel), 'some groups');
my $before = $most;

ok(rounds(10, 25, $tunnel), 'as many more');
cmp_ok($most, '<', $before + LEAK, 'memory does not grow');

ok(wait_for(sub { fd_count(worker_pids($entry)) == $descriptors }),
    'no descriptor is left');

$relay->stop();

ok(rounds(5, 100, $user), 'groups without a relay');
$before = $most;

ok(rounds(15, 100, $user), 'many more');
cmp_ok($most, '<', $before + LEAK, 'memory does not grow');


# users of groups without a reverse, who leave when that is in the log

sub rounds {
    my ($rounds, $round, $seen) = @_;

    for (1 .. $rounds) {

        my @s = map { my $s = connect_to(port(8080));
            syswrite $s, socks_greeting(0)
                . socks_request('127.0.0.1:' . ++$users);
            $s } 1 .. $round;

        return 0 if !wait_log($entry, $seen, count => $users);

        my $now = private_memory(worker_pids($entry));
        $most = $now if $now > $most;

        close $_ for @s;

        return 0 if !wait_log($entry, qr/ is not used, its tunnels are given up/,
            count => $given_up += $round);
    }

    return 1;
}
