#!/usr/bin/perl

# hash: a user always comes by the same relay, as long as it is there; nobody
# else has to move when it is not.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

use constant USERS => 30;

my $first = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_upstream_hash /);
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

    log_format main "$server_port $remote_addr $relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream plain {
        hash $remote_addr;
        server 127.0.0.1:8443 max_fails=0;
        server 127.0.0.1:8444 max_fails=0;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass plain;
    }

    upstream consistent {
        hash $remote_addr consistent;
        server 127.0.0.1:8443 max_fails=0;
        server 127.0.0.1:8444 max_fails=0;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass consistent;
    }
}

EOC

trp_cert($first, $second, $reverse, $entry);
$second->write_file('localhost.key', $first->read_file('localhost.key'));

my $keys = join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse');
$_->write_file('authorized_keys', $keys) for $first, $second;

serve($reverse, port(8090), 'echo');

$_->run() for $first, $second, $reverse, $entry;
$entry->plan(21 + 2 * 3);

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 8),
    'tunnels') for 8443, 8444;

# the same relay for a user each time, not the same one for all

my %before;

for my $port (8080, 8081) {
    $before{$port} = users($entry, $port);
    like($before{$port}, qr/^[ab]{${\USERS}}$/, 'users');
    like($before{$port}, qr/a.*b|b.*a/, 'both relays');
    is(users($entry, $port), $before{$port}, 'the same ones again');
}

# a relay is gone: only its users move

kill 'KILL', nginx_pid($first), worker_pids($first);
$first->stop();

is(users($entry, $_), 'b' x USERS, 'all by the other one') for 8080, 8081;

# it comes back, and they do

ok(tunnels_after(8443, sub { $first->run() }, $entry, 8, $reverse, 4),
    'tunnels again');
is(users($entry, $_), $before{$_}, 'all as before') for 8080, 8081;

# the other one is drained, and comes back as well

$second->stop();
is(users($entry, $_), 'a' x USERS, 'all by the first') for 8080, 8081;
ok(tunnels_after(8444, sub { $second->run() }, $entry, 8, $reverse, 4),
    'tunnels again');
is(users($entry, $_), $before{$_}, 'all as before') for 8080, 8081;

# new workers of the entry know no more, and no less

ok(tunnels_after(8443, sub {
    tunnels_after(8444, sub { reload_and_wait($entry) }, $entry, 8);
}, $entry, 8), 'tunnels of new workers');
is(users($entry, $_), $before{$_}, 'all as before') for 8080, 8081;


# one user of each address; by which relays have they come?

sub users {
    my ($t, $port) = @_;
    my @lines;

    $port = port($port);

    my $count = served($t, 'access.log') + USERS;
    visit($port, from => "127.0.1.$_") for 1 .. USERS;

    wait_for(sub {
        @lines = served($t, 'access.log');
        return @lines >= $count;
    });

    my %relay = map { /^$port (\S+) (.) ok$/ ? ($1 => $2) : () }
        @lines[-USERS .. -1];

    return join '', map { $relay{"127.0.1.$_"} || '-' } 1 .. USERS;
}
