#!/usr/bin/perl

# Tests for reloads of a local entry under load, also with another number of
# workers: no user fails, whichever way the worker of the group is reached, and
# nothing is left.
#
#     TRP_RELOADS=100 t/run.sh t/hub/reload_workers.t

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Load;

my $reloads = $ENV{TRP_RELOADS} || 6;

my $hub = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_ssl_preread map /);
my $reverse = Test::Nginx->new();

# groups of different workers

my %groups = map { slot_of($_) % 4 => $_ } 'a' .. 'z';
my @groups = map { $groups{$_} } 0 .. 3;

# a preread of something that is no TLS waits for the user's first bytes

$hub->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    map \$ssl_preread_server_name \$by_name {
        default $groups[2];
    }

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream zero { trp_entry local; trp_entry_group $groups[0]; }
    upstream one  { trp_entry local; trp_entry_group $groups[1]; }
    upstream name { trp_entry local; trp_entry_group \$by_name; }
    upstream last { trp_entry local; trp_entry_group $groups[3]; }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass zero;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        ssl_preread on;
        proxy_pass name;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1 proxy_protocol;
        proxy_pass one;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1 ssl;
        proxy_pass last;
    }

    # clients of the two

    server {
        listen 127.0.0.1:8084;
        proxy_pass 127.0.0.1:8082;
        proxy_protocol on;
    }

    server {
        listen 127.0.0.1:8085;
        proxy_pass 127.0.0.1:8083;
        proxy_ssl on;
    }
}

EOC

my $servers = join "\n", map { <<"EOC" } @groups;
    server {
        trp_reverse hub;
        trp_reverse_group $_;
        proxy_pass \$trp_destination;
    }
EOC

$reverse->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream hub {
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_allow 127.0.0.1:*;

$servers
}

EOC

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

my %ways = (plain => 8080, preread => 8081, 'PROXY protocol' => 8084,
    TLS => 8085);

my $load = Test::Nginx::TRP::Load->new($hub)->serve(port(8090));

$hub->run();
$reverse->run()->plan(2 * keys(%ways) + 6 + 2);

ok(wait_for(sub { all_workers() == 4 }), 'workers');
ok(wait_log($hub, qr/has a tunnel/, count => 16), 'tunnels');

my $before = fds();
my $result;

for my $way (sort keys %ways) {
    my $port = port($ways{$way});

    $load->start($port, 'short', 3, pause => 0.01);
    $load->start($port, $_, 1, seconds => 2) for qw/ up down talk /;

    changed(4) for 1 .. $reloads;

    $result = $load->stop();

    cmp_ok($result->{connections}, '>', 2 * $reloads, "$way: there is load");
    is($result->{failures}, 0, "$way: nothing fails") or diag($result->{texts});
    note("$way: $reloads reloads, $result->{connections} connections");
}

# all at once, and another number of workers each time

$load->start(port($_), 'short', 2, pause => 0.02) for values %ways;
$load->start(port($_), 'up', 1, seconds => 2) for values %ways;

changed($_) for 2, 3, 1, 4;

$result = $load->stop();

is($result->{failures}, 0, 'numbers of workers: nothing fails')
    or diag($result->{texts});
note("numbers of workers: $result->{connections} connections");

ok(wait_for(sub { all_workers() == 4 }), 'old workers go away');

# descriptors return, when the pools of the reverse are as small as at first

changed(4);
reload_and_wait($reverse);
ok(wait_for(sub { all_workers() == 4 && fds() <= $before }), 'descriptors')
    or diag(fds() . " > $before");

is(count_log($hub, qr/\[(?:alert|emerg|crit)\]/), 0, 'no alerts');


# Reloads with so many workers, and waits until the old ones are no more than
# the machine holds.

sub changed {
    my ($workers) = @_;
    my %old = map { $_ => 1 } worker_pids($hub);
    my $conf = $hub->read_file('nginx.conf');

    $conf =~ s/(?<=worker_processes )\d+/$workers/;
    $hub->write_file('nginx.conf', $conf);
    $hub->reload();

    wait_for(sub {
        my @pids = worker_pids($hub);
        return @pids == $workers && !grep { $old{$_} } @pids;
    });

    wait_for(sub { all_workers() <= 24 });
}


sub all_workers {
    return scalar(() = worker_pids($hub, qr/worker process/));
}


sub fds {
    return fd_count(nginx_pid($hub)) + fd_count(worker_pids($hub));
}
