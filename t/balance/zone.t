#!/usr/bin/perl

# A zone: workers of the entry share what the balancer knows, and users are
# spread as if there were one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relays = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_upstream_zone /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

relay_conf($relays, 8443, 8444);
reverse_conf($reverse, 8443, 8444);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    map $upstream_addr $relay {
        127.0.0.1:8443 a;
        127.0.0.1:8444 b;
    }

    log_format main "$pid $relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        zone relay 64k;
        server 127.0.0.1:8443 weight=3;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1
            reuseport;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_cert($relays, $reverse, $entry);
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$_->run() for $relays, $reverse, $entry;
$entry->plan(7 + 2 * 2);

# both workers have tunnels to both relays

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 8),
    'tunnels') for 8443, 8444;

# until both have had enough of them

my $users = 0;

ok(wait_for(sub {
    visit(port(8080)) or return 0;
    return ++$users % 4 == 0 && $users >= 20 && workers($entry, 2);
}), 'both workers');

ok(wait_log($entry, qr/ ok$/, file => 'access.log', count => $users),
    'all are served');
is(count_log($entry, qr/ a ok$/, file => 'access.log'), $users * 3 / 4,
    'three quarters');
is(count_log($entry, qr/ b ok$/, file => 'access.log'), $users / 4,
    'one quarter');

# new workers of a new configuration

reload_and_wait($entry);
is(visit(port(8080)), 1, 'after a reload');


# so many workers have served users

sub workers {
    my ($t, $count) = @_;
    my %pids = map { /^(\d+) / ? ($1 => 1) : () } served($t, 'access.log');
    return keys %pids >= $count;
}
