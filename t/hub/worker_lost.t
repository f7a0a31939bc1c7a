#!/usr/bin/perl

# Tests for a local entry one of whose workers is killed, or hangs: users that
# it had are reset, those who come are served as soon as it, or another in its
# place, works.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $hub = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_ssl_preread map /);
my $reverse = Test::Nginx->new();

my %groups = map { slot_of($_) % 4 => $_ } 'a' .. 'z';
my ($group, $other) = @groups{1, 2};

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
    log_format main '\$pid \$trp_group \$status \$trp_status';

    proxy_half_close on;

    map \$ssl_preread_server_name \$by_name {
        default $group;
    }

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    access_log %%TESTDIR%%/access.log main;

    upstream fixed { trp_entry local; trp_entry_group $group; }
    upstream other { trp_entry local; trp_entry_group $other; }

    upstream named {
        trp_entry local;
        trp_entry_group \$by_name;
        trp_entry_open_timeout 60s;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass fixed;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1 reuseport;
        ssl_preread on;
        proxy_pass named;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass other;
    }
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

    server {
        trp_reverse hub;
        trp_reverse_group $group;
        proxy_pass \$trp_destination;
    }

    server {
        trp_reverse hub;
        trp_reverse_group $other;
        proxy_pass \$trp_destination;
    }
}

EOC

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($hub, port(8090), 'echo');

$hub->run();
$reverse->run()->plan(13 + 2);

ok(wait_for(sub { worker_pids($hub) == 4 }), 'workers');
ok(wait_log($hub, qr/has a tunnel/, count => 8), 'tunnels');

$hub->todo_alerts();

my $fds = fds();
my $pid = worker();

# killed, with users that it has accepted, and with those of other workers

my @users = map { talking(8080 + $_ % 2) } 1 .. 16;

kill 'KILL', $pid;

is(scalar(grep { end_of($_) eq 'reset' } @users), 16, 'its users are reset');

ok(visit(port(8080), timeout => 30), 'the next is served');
ok(visit(port(8081), timeout => 30), 'through another worker');
ok(visit(port(8082)), 'another group');

isnt($pid = worker(), 0, 'its place is taken');

# it hangs: more users than a channel holds wait for it

kill 'STOP', $pid;

@users = map { connect_to(port($_ % 2 ? 8080 : 8081), timeout => 60) }
    1 .. 700;
syswrite $_, 'no TLS' for @users;

ok(visit(port(8082)), 'another group, meanwhile');

kill 'CONT', $pid;

is(scalar(grep { answered($_) } @users), 700, 'all are served');

close $_ for @users;

# nothing is left

ok(wait_for(sub { tcp_count(port(8080)) + tcp_count(port(8081)) == 0 }),
    'users are gone');

reload_and_wait($_) for $hub, $reverse;

ok(wait_for(sub {
    return (() = worker_pids($hub, qr/worker process/)) == 4 && fds() <= $fds;
}), 'descriptors') or diag(fds() . " > $fds");

is(count_log($hub, qr/\[(?:crit|emerg)\]/), 0, 'no errors');
is(count_log($hub, qr/\[alert\](?!.* exited on signal 9)/), 0, 'no alerts');


# of the group

sub worker {
    my $last = 0;

    wait_for(sub {
        my %pids = map { $_ => 1 } worker_pids($hub);

        for (split /^/, $hub->read_file('error.log')) {
            $last = $1 if /(\d+)#.* has a tunnel in group "$group"/;
        }

        return $pids{$last};
    });

    return $last;
}


sub talking {
    my $s = connect_to(port($_[0]), timeout => 30);
    syswrite $s, 'no TLS';
    answered($s) or die "no answer\n";
    return $s;
}


sub answered {
    my ($s) = @_;
    my $got = '';

    while (length $got < 6) {
        sysread $s, $got, 6, length $got or return 0;
    }

    return $got eq 'no TLS';
}


sub fds {
    return fd_count(nginx_pid($hub)) + fd_count(worker_pids($hub));
}
