#!/usr/bin/perl

# Tests for an entry that is full: users for whom there is no connection or no
# descriptor see a reset, and not an end.

use strict;
use warnings;

use Test::More;

use IO::Select;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $connections = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my @descriptors = map { Test::Nginx->new() } 1 .. 2;

$_->todo_alerts() for $connections, @descriptors;

$connections->write_file_expand('nginx.conf', conf(<<'EOC', 8080));
events {
    worker_connections 32;
}
EOC

# it is an even or an odd number that is left for users

for my $i (0, 1) {
    my $limit = 36 + $i;

    $descriptors[$i]->write_file_expand('nginx.conf', conf(<<"EOC", 8081 + $i));
worker_rlimit_nofile $limit;

events {
}
EOC
}

for my $t ($connections, @descriptors) {
    trp_cert($t);
    trp_keys($t, 'entry');
    $t->run();
}

$connections->plan(12 + 2 * 2);

my $no_tunnel = qr/worker_connections leave none for a tunnel/;

full($connections, 8080, $no_tunnel);
full($descriptors[0], 8081, $no_tunnel);
full($descriptors[1], 8082, $no_tunnel);

# these say nothing, and wait with one connection each

full($connections, 8083, qr/worker_connections are not enough/);


# There is no relay, so users wait, with two connections each.  Whom nginx does
# not accept for want of a descriptor, it leaves to the kernel, and waits.

sub full {
    my ($t, $port, $re) = @_;

    my @users = map { connect_to(port($port)) } 1 .. 60;
    my $select = IO::Select->new(@users);
    my %ends;

    while (($ends{reset} || 0) < 40) {
        my @ready = $select->can_read(3) or last;

        for my $s (@ready) {
            $ends{end_of($s)}++;
            $select->remove($s);
        }
    }

    is(join(' ', grep { $_ ne 'reset' } keys %ends), '', 'how users end');
    cmp_ok($select->count(), '>', 5, 'others wait');
    ok(count_log($t, $re), 'reason');
}


sub conf {
    my ($events, $port) = @_;
    my $socks = $port + 3;

    return <<"EOC";

%%TEST_GLOBALS%%

daemon off;

$events

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_$port%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:$socks;
        trp_socks5;
        proxy_pass relay;
    }
}

EOC
}
