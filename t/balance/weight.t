#!/usr/bin/perl

# Weights: users are spread over the relays in their proportion.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relays = Test::Nginx->new()
    ->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

relay_conf($relays, 8443, 8444);
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

    upstream relay {
        server 127.0.0.1:8443 weight=3;
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

    upstream other {
        server 127.0.0.1:8443 weight=2;
        server 127.0.0.1:8444 weight=5;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass other;
    }
}

EOC

trp_cert($relays, $reverse, $entry);
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$_->run() for $relays, $reverse, $entry;
$entry->plan(6 + 2 * 2);

# a relay without tunnels would be passed over

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 8),
    'tunnels') for 8443, 8444;

is(users(8080, 20), 20, 'users');
is(relays($entry, port(8080), 20), 'aaba' x 5, 'three to one');

is(users(8081, 14), 14, 'other users');
is(relays($entry, port(8081), 14), 'babbbab' x 2, 'two to five');


sub users {
    my ($port, $count) = @_;
    return scalar grep { visit(port($port)) } 1 .. $count;
}

# the relays of the users, in their order

sub relays {
    my ($t, $port, $count) = @_;
    my $re = qr/^$port (.) ok$/;

    wait_log($t, $re, file => 'access.log', count => $count);
    return join '', map { /$re/ } served($t, 'access.log');
}
