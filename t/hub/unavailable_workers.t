#!/usr/bin/perl

# Tests for users of the relay's own nginx whose group is in another worker and
# has no reverse: with trp_entry_unavailable "reset" they are reset at once, all
# others wait.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl map /);
my $reverse = Test::Nginx->new();

# a group of variables, so that users stay where they were accepted

hub_conf($hub,
    main => 'worker_processes 4;',
    relay => 'trp_relay_open_timeout 4s;',
    stream => <<'EOC');
    map $server_port $group {
        default 0;
    }

    upstream resets {
        trp_entry local;
        trp_entry_group $group;
        trp_entry_unavailable reset;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1 reuseport;
        proxy_pass resets;
    }

    upstream waits {
        trp_entry local;
        trp_entry_group $group;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1 reuseport;
        proxy_pass waits;
    }
EOC
reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$hub->run()->plan(7 + 2);
ok(wait_for(sub { worker_pids($hub) == 4 }), 'workers');

my @patient = map { connect_to(port(8082), timeout => 30) } 1 .. 8;
my @users = map { connect_to(port(8081)) } 1 .. 16;

is(scalar(grep { end_of($_, 10) eq 'reset' } @users), 16, 'no reverse');

@users = map { connect_to(port(8081)) } 1 .. 16;
is(scalar(grep { end_of($_, 1) eq 'reset' } @users), 16, 'at once');

ok(wait_log($hub, qr/^no agent 502$/, file => 'access.log', count => 32),
    'access log');

$reverse->run();

is(scalar(grep { transfer($_, 1000)->{end} eq 'eof' } @patient), 8,
    'who waits is served');
is(scalar(grep { visit(port(8081)) } 1 .. 16), 16, 'and those who come');

wait_log($hub, qr/./, file => 'access.log', count => 32 + 8 + 16);
is(count_log($hub, qr/./, file => 'access.log'), 32 + 8 + 16,
    'one line for each');
