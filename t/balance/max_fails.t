#!/usr/bin/perl

# max_fails and fail_timeout: how often a relay that has no reverse is tried,
# and for how long it is then left alone.  A refusal is no failure of a relay,
# and one that is gone is known to be.

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

    log_format main "$server_port $relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream strict {
        server 127.0.0.1:8443 max_fails=1 fail_timeout=1h;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass strict;
    }

    upstream three {
        server 127.0.0.1:8443 max_fails=3 fail_timeout=1h;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass three;
    }

    upstream never {
        server 127.0.0.1:8443 max_fails=0;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass never;
    }

    upstream short {
        server 127.0.0.1:8443 fail_timeout=1s;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass short;
    }

    server {
        trp_route %%PORT_8084%%:%%PORT_8091%% bind=127.0.0.1;
        proxy_pass strict;
    }
}

EOC

trp_cert($first, $second, $reverse, $entry);
$second->write_file('localhost.key', $first->read_file('localhost.key'));

my $keys = join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse');
$_->write_file('authorized_keys', $keys) for $first, $second;

serve($reverse, port(8090), 'echo');

$_->run() for $first, $second, $reverse, $entry;
$entry->plan(25 + 2 * 3);

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 16),
    'tunnels') for 8443, 8444;

# destinations that refuse

is(end_of(connect_to(port(8084)), 30), 'reset', 'refused') for 1 .. 4;
is(disabled($entry, 8084), 0, 'not by the relay');

# a relay that is gone, and comes back: no failures

kill 'KILL', nginx_pid($first), worker_pids($first);
$first->stop();
is(users(8080, 8), 8, 'users without a relay');
ok(tunnels_after(8443, sub { $first->run() }, $entry, 16, $reverse, 4),
    'tunnels again');
is(disabled($entry, 8080), 0, 'no failure');

# it has no reverse: two users have come by it, then many

my $conf = $reverse->read_file('nginx.conf');
my $addr = '127.0.0.1:' . port(8443);

$reverse->write_file('nginx.conf', $conf =~ s/$addr/$addr down/r);
reload_and_wait($reverse);
ok(wait_for(sub { !worker_pids($reverse, qr/is shutting down$/) }),
    'no reverse');

is(users(8081, 4), 4, 'three: users');
is(disabled($entry, 8081), 0, 'three: is tried');
is(users(8081, 12), 12, 'three: more users');
is(disabled($entry, 8081), 1, 'three: not any more');

is(users(8080, 8), 8, 'strict: users');
is(disabled($entry, 8080), 1, 'strict: is tried once');

is(users(8082, 8), 8, 'never: users');
is(disabled($entry, 8082), 0, 'never: is always tried');
is(count_log($entry, qr/ a ok$/, file => 'access.log'), 0, 'nobody by it');

# now it has one

$reverse->write_file('nginx.conf', $conf);
my $tunnels = count_log($first, qr/ reverse .* has a tunnel/);
reload_and_wait($reverse);
ok(wait_log($first, qr/ reverse .* has a tunnel/, count => $tunnels + 1),
    'a reverse');

users($_, 8) for 8080 .. 8082;
is(relays($entry, 8080, 24), 'b' x 24, 'strict: left alone');
is(relays($entry, 8081, 24), 'b' x 24, 'three: left alone');
is(relays($entry, 8082, 16) =~ /^b{8}/ && $' =~ tr/a//, 4,
    'never: used at once');

ok(wait_for(sub {
    visit(port(8083));
    return count_log($entry, qr/^@{[port(8083)]} a ok$/, file => 'access.log');
}), 'short: used after a while');


# how often the balancer has given a relay up

sub disabled {
    my ($t, $port) = @_;
    my $server = 'server: 127.0.0.1:' . port($port);
    return count_log($t, qr/ upstream server temporarily disabled .*$server/);
}

sub users {
    my ($port, $count) = @_;
    return scalar grep { visit(port($port)) } 1 .. $count;
}

sub relays {
    my ($t, $port, $count) = @_;
    my $re = sprintf '^%d (.) ok$', port($port);

    wait_log($t, qr/$re/, file => 'access.log', count => $count);
    return join '', map { /$re/ } served($t, 'access.log');
}
