#!/usr/bin/perl

# least_conn: the relay with the fewest streams is next, and a relay's end
# leaves no streams in the count.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $first = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_upstream_least_conn /);
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

    log_format main "$remote_port $relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        least_conn;
        server 127.0.0.1:8443 max_fails=0;
        server 127.0.0.1:8444 max_fails=0;
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

$_->run() for $first, $reverse, $entry;
$entry->plan(15 + 2 * 3);

ok(wait_tunnels($reverse, 8443, 4) && wait_tunnels($entry, 8443, 4),
    'tunnels');

# four by the only one that is there: the next four are for the other one

my @first = map { stays() } 1 .. 4;

ok(tunnels_after(8444, sub { $second->run() }, $entry, 4, $reverse, 4),
    'tunnels to the other one');

my @second = map { stays() } 1 .. 4;
is(relays($entry, @second), 'bbbb', 'the one with fewer streams');
is(relays($entry, @first), 'aaaa', 'the other one');

# six who come while all is quiet, again and again

is(spread($entry), 'aaabbb', "spread: $_") for 1 .. 3;

# one is gone, with its streams, and with some that wait

my @users = map { stays() } 1 .. 6;
kill 'KILL', nginx_pid($second), worker_pids($second);
$second->stop();

my @lost;
my $select = IO::Select->new(@users);
ok(wait_for(sub { @lost = $select->can_read(0); @lost == 3 }), 'lost streams');
is(grep({ reset_of($_) } @lost), 3, 'by a reset');
$select->remove(@lost);

@users = ($select->handles(), map { stays() } 1 .. 6);
is(relays($entry, @users), 'a' x 9, 'all by the other one');

# it is back: both have none

ok(tunnels_after(8444, sub { $second->run() }, $entry, 4, $reverse, 4),
    'tunnels again');
is(spread($entry), 'aaabbb', "spread again: $_") for 1 .. 3;

# the other one goes

$first->stop();
is(spread($entry), 'bbbbbb', 'without the first');


# a user who has a stream, and keeps it

sub stays {
    my $s = connect_to(port(8080));

    syswrite $s, 'here';
    IO::Select->new($s)->can_read(30) or return $s;
    sysread $s, my $echo, 10;

    return $s;
}

# they leave; which relays had they?

sub relays {
    my ($t, @users) = @_;
    my @ports = map { $_->sockport() } @users;

    close $_ for @users;

    return join '', sort map {
        my $re = qr/^$_ (.) ok$/;
        wait_log($t, $re, file => 'access.log');
        join '', map { /$re/ } served($t, 'access.log');
    } @ports;
}

sub spread {
    my ($t) = @_;
    return relays($t, map { stays() } 1 .. 6);
}
