#!/usr/bin/perl

# Tests for the end of old workers that have allocations: when these are
# deleted or expire, when clients over TCP go, or when
# worker_shutdown_timeout is over.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format end "$protocol $trp_turn_relayed_addr $trp_turn_end";
    access_log %%TESTDIR%%/access.log end;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 20000-31999;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_lifetime 1s;
        trp_turn_unauthenticated_rate 1000r/s;
    }
}

EOC

my @tcp = (port => port(8479), transport => 'tcp');

$t->run()->plan(18);

# strangers and clients without an allocation hold nothing

my @all = map { client() } 1 .. 8;

is(grep({ $_->binding()->{code} eq '0' } @all), 8, 'bindings');
$_->call('allocate', [], retry => 0) for @all;
reload_and_wait($t);
is(ended($t), 1, 'no allocation, no old worker');

# deleted

@all = allocated(8, 600);
reload_and_wait($t);
is(old($t), 1, 'allocations, old workers');
is(grep({ $_->refresh(0)->{code} eq '0' } @all), 8, 'deleted');
is(ended($t), 1, 'old workers end');
is(lines($t, @all), 8, 'access log');

# expired

@all = (allocated(1, 600), allocated(7, 3));
reload_and_wait($t);
is(wait_for(sub { lines($t, @all) == 7 }), 1, 'expired');
is($all[0]->refresh(600)->{code}, 0, 'refreshed');
is(old($t), 1, 'its worker');
$all[0]->refresh(0);
is(ended($t), 1, 'and its end');

# over TCP: the end of the connection

@all = allocated(4, 600, @tcp);
reload_and_wait($t);
is(old($t), 1, 'tcp');
$_->close() for @all[0, 1];
$_->abort() for @all[2, 3];
is(ended($t), 1, 'tcp, old workers end');

# worker_shutdown_timeout

$t->write_file('nginx.conf', "worker_shutdown_timeout 1s;\n"
    . $t->read_file('nginx.conf'));
reload_and_wait($t);

@all = (allocated(4, 600), allocated(2, 600, @tcp));
reload_and_wait($t);
is(ended($t), 1, 'worker_shutdown_timeout');
is(lines($t, @all), 6, 'access log');
is($all[4]->end_of(), 'eof', 'tcp, closed');
is($all[0]->refresh(600)->{code}, 437, 'no allocation any more');
is($all[0]->allocate()->{code}, 0, 'a new one');

is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');

$all[0]->refresh(0);


sub client {
    return turn(port => port(8478, udp => 1), user => 'alice',
        password => 'secret', @_);
}


sub allocated {
    my ($n, $lifetime, @opts) = @_;

    my @clients = map { client(@opts) } 1 .. $n;
    $_->allocate([ lifetime => $lifetime ]) for @clients;
    return @clients;
}


sub old {
    my ($t) = @_;
    my @pids = worker_pids($t, qr/worker process is shutting down/);
    return @pids > 0 ? 1 : 0;
}


sub ended {
    my ($t) = @_;
    return wait_for(sub { !old($t) });
}


# lines of the access log for allocations of these clients

sub lines {
    my ($t, @clients) = @_;

    return scalar grep {
        my $addr = $_->relayed();
        count_log($t, qr/ \Q$addr\E /, file => 'access.log') == 1;
    } @clients;
}
