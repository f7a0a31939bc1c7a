#!/usr/bin/perl

# Tests for limit_conn by variables of ours: by SOCKS5 user and destination it
# is looked at behind the handshake, other limits as early as ever; and "nginx -t"
# says where a variable cannot be known in time.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$server_port $trp_socks5_user $status $limit_conn_status "
                   "$trp_status";

    limit_conn_zone $trp_socks5_user zone=user:1m;
    limit_conn_zone "$trp_socks5_user $trp_destination" zone=both:1m;
    limit_conn_zone $remote_addr zone=addr:1m;
    limit_conn_zone $trp_destination zone=destination:1m;
    limit_conn_zone $trp_group zone=group:1m;
    limit_conn_zone $trp_turn_username zone=turn:1m;

    access_log %%TESTDIR%%/access.log trp;

    trp_socks5_user alice:secret;
    trp_socks5_user bob:secret;

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;
        trp_relay;
        trp_authorized_keys authorized_keys;
        # RELAY
    }

    upstream entry {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        limit_conn user 1;
        limit_conn addr 3;
        proxy_pass entry;
        # SOCKS
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        limit_conn both 1;
        proxy_pass entry;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        limit_conn user 1;
        limit_conn_dry_run on;
        proxy_pass entry;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;
        limit_conn destination 1;
        proxy_pass entry;
        # ROUTE
    }

    server {
        listen 127.0.0.1:8084;
        trp_turn;
        # TURN
    }

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
        # REVERSE
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys',
    join "\n", trp_keys($t, 'entry', 'reverse'), '');

serve($t, port(8090), 'echo');
serve($t, port(8091), 'echo');

$t->write_file_expand('nginx.conf', $conf);
$t->run()->plan(27);

my ($to, $other) = map { '127.0.0.1:' . port($_) } 8090, 8091;
my %alice = (user => 'alice', password => 'secret');
my %bob = (user => 'bob', password => 'secret');

# one connection for each user

my $alice = socks(port(8080), $to, %alice);
is($alice->rep(), 0, 'first of alice');
is($alice->echo('hello'), 'hello', 'echo');

my $second = socks(port(8080), $to, %alice);
is($second->rep(), 1, 'second of alice');
ok(wait_log($t, qr/^${\port(8080)} alice 503 REJECTED over the limit$/,
    file => 'access.log'), 'access log');

my $bob = socks(port(8080), $to, %bob);
is($bob->rep(), 0, 'first of bob');

# early limits count once: three of this address, and they come first

my $third = socks(port(8080), $to, %alice, stop => 'connect');
isnt(socks(port(8080), $to, %bob)->rep(), 0, 'fourth of the address');
ok(wait_log($t, qr/^${\port(8080)} - 503 REJECTED/, file => 'access.log'),
    'ahead of the handshake');
$third->close();

$alice->close();
ok(wait_log($t, qr/^${\port(8080)} alice 200 PASSED /, file => 'access.log'),
    'alice has left');

$alice = socks(port(8080), $to, %alice);
is($alice->rep(), 0, 'alice again');
is($alice->echo('hello'), 'hello', 'echo again');
$_->close() for $alice, $bob;

# user and destination

$alice = socks(port(8081), $to, %alice);
is($alice->rep(), 0, 'key of two variables');
is(socks(port(8081), $to, %alice)->rep(), 1, 'the same user and destination');

my @more = (socks(port(8081), $other, %alice), socks(port(8081), $to, %bob));
is($more[0]->rep(), 0, 'another destination');
is($more[1]->rep(), 0, 'another user');
$_->close() for $alice, @more;

wait_log($t, qr/^${\port(8081)} \w+ 200 /, file => 'access.log', count => 3);
wait_log($t, qr/^${\port(8080)} \w+ 200 /, file => 'access.log', count => 3);

# dry run

$alice = socks(port(8082), $to, %alice);
$second = socks(port(8082), $to, %alice);
is($second->rep(), 0, 'dry run');
is($second->echo('hello'), 'hello', 'dry run: echo');
$_->close() for $second, $alice;
ok(wait_log($t, qr/^${\port(8082)} alice 200 REJECTED_DRY_RUN/,
    file => 'access.log'), 'dry run: access log');

# a route knows its destination early

my $user = connect_to(port(8083));
print {$user} 'hello';
read $user, my $data, 5;
is($data, 'hello', 'route');
isnt(end_of(connect_to(port(8083))), 'timeout', 'route: one too many');
close $user;

# what is known nowhere in time

my @wrong = (
    [ 'SOCKS', 'group', 'trp_group', 'trp_socks5' ],
    [ 'ROUTE', 'group', 'trp_group', 'trp_route' ],
    [ 'ROUTE', 'user', 'trp_socks5_user', 'trp_route' ],
    [ 'RELAY', 'group', 'trp_group', 'trp_relay' ],
    [ 'TURN', 'turn', 'trp_turn_username', 'trp_turn' ],
    [ 'REVERSE', 'user', 'trp_socks5_user', 'trp_reverse' ],
);

for my $case (@wrong) {
    my ($where, $zone, $variable, $ours) = @$case;

    $t->write_file_expand('nginx.conf',
        $conf =~ s/# $where\b/limit_conn $zone 1;/r);
    my $message = "\"limit_conn\" by \"\$$variable\" cannot be used with "
        . "\"$ours\" in ";
    like(nginx_test($t), qr/\Q$message\E\S+:\d+, it is not known yet/,
        "$ours: \$$variable");
}

# and with a relay's name at the reverse it is

$t->write_file_expand('nginx.conf',
    $conf =~ s/# REVERSE\b/limit_conn group 1; limit_conn destination 1;/r);
like(nginx_test($t), qr/test is successful/, 'trp_reverse: known');
$t->write_file_expand('nginx.conf', $conf);
reload_and_wait($t);
my $last = socks(port(8080), $to, %alice);
is($last->rep(), 0, 'after a reload');
$last->close();
