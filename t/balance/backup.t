#!/usr/bin/perl

# A backup relay: it has tunnels, and users while the other one is gone, who
# is used again as soon as it is back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

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

    log_format main "$relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443 fail_timeout=1s;
        server 127.0.0.1:8444 backup;
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

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 4),
    'tunnels') for 8443, 8444;

is(users(10), 10, 'users');
is(relays($entry, 0, 10), 'a' x 10, 'none by the backup');

# the other one is killed

kill 'KILL', nginx_pid($first), worker_pids($first);
$first->stop();

is(users(10), 10, 'users without it');
is(relays($entry, 10, 10), 'b' x 10, 'by the backup');

# and started again

$first->run();
is(returns($entry), 1, 'is back');

# the users of before were served by the one or the other

my $before = served($entry, 'access.log');
is(users(10), 10, 'users when it is back');
is(relays($entry, $before, 10), 'a' x 10, 'none by the backup again');

# the backup's own end is nothing to anybody

$second->stop();
is(users(10), 10, 'users without the backup');
is(relays($entry, $before + 10, 10), 'a' x 10, 'all by the other one');
is(count_log($entry, qr/ (?!ok$)/, file => 'access.log'), 0, 'no failure');


sub users {
    my ($count) = @_;
    return scalar grep { visit(port(8080)) } 1 .. $count;
}

# the relays of so many users, who came after others

sub relays {
    my ($t, $skip, $count) = @_;

    wait_log($t, qr/^/, file => 'access.log', count => $skip + $count);
    return join '', map { /^(.)/ }
        (served($t, 'access.log'))[$skip .. $skip + $count - 1];
}

# users come until one is served by the first relay; all lines are written

sub returns {
    my ($t) = @_;
    my $count = served($t, 'access.log');

    return wait_for(sub {
        return visit(port(8080))
            && wait_log($t, qr/^/, file => 'access.log', count => ++$count)
            && (served($t, 'access.log'))[-1] eq 'a ok' ? 1 : 0;
    });
}
