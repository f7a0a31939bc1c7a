#!/usr/bin/perl

# Tests for stock directives and parameters that an entry honours: max_conns,
# proxy_connect_timeout, proxy_next_upstream, rates, PROXY protocol, and limits.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 2048;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$server_port $trp_status $upstream_addr $session_time";
    limit_conn_zone $remote_addr zone=users:1m;
    limit_conn_zone $remote_addr zone=agents:1m;

    proxy_half_close on;

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols TLSv1.3;

    trp_authorized_keys authorized_keys;

    server {
        listen 127.0.0.1:8433 ssl;
        trp_relay;
    }

    server {
        listen 127.0.0.1:8434 ssl;
        trp_relay;
    }

    # no reverse is there

    server {
        listen 127.0.0.1:8435 ssl;
        trp_relay;
        trp_relay_open_timeout 300ms;
    }

    # agents are not let in

    server {
        listen 127.0.0.1:8436 ssl;
        trp_relay;
        deny all;
        access_log %%TESTDIR%%/denied.log trp;
    }

    # one connection of an address

    server {
        listen 127.0.0.1:8437 ssl;
        trp_relay;
        limit_conn agents 1;
    }

    upstream limited {
        server 127.0.0.1:8433 max_conns=1;
        server 127.0.0.1:8434 max_conns=1;
        ENTRY
    }

    upstream one {
        server 127.0.0.1:8433;
        ENTRY
    }

    upstream two {
        server 127.0.0.1:8435 max_fails=0;
        server 127.0.0.1:8433 backup;
        ENTRY
    }

    upstream denied {
        server 127.0.0.1:8436;
        ENTRY
        trp_entry_name denied;
    }

    upstream few {
        server 127.0.0.1:8437;
        ENTRY
        trp_entry_name few;
    }

    access_log %%TESTDIR%%/access.log trp;

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass limited;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        proxy_pass one;
        proxy_connect_timeout 1s;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass two;
        proxy_next_upstream off;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass two;
    }

    server {
        trp_route %%PORT_8084%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass two;
        proxy_next_upstream_tries 1;
    }

    server {
        trp_route %%PORT_8085%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass two;
        proxy_next_upstream_tries 2;
        proxy_next_upstream_timeout 1h;
    }

    server {
        trp_route %%PORT_8086%%:%%PORT_8092%% bind=127.0.0.1;
        proxy_pass one;
        proxy_protocol on;
    }

    server {
        trp_route %%PORT_8087%%:%%PORT_8093%% bind=127.0.0.1;
        proxy_pass one;
        proxy_download_rate 1k;
    }

    server {
        trp_route %%PORT_8088%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass one;
        limit_conn users 1;
    }

    server {
        trp_route %%PORT_8089%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass one;
        deny all;
    }

    server {
        trp_route %%PORT_8094%%:%%PORT_8090%% bind=127.0.0.1 so_keepalive=30m::10
                  backlog=64 rcvbuf=64k sndbuf=64k reuseport;
        proxy_pass one;
        proxy_socket_keepalive on;
        tcp_nodelay off;
    }

    upstream relays {
        server 127.0.0.1:8433;
        server 127.0.0.1:8434;
    }

    server {
        trp_reverse relays;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
}

EOC

my $entry = <<'EOC';
trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2;
        trp_entry_ssl_trusted_certificate localhost.crt;
EOC

$t->write_file('nginx.conf', $t->read_file('nginx.conf')
    =~ s/ENTRY\n/$entry/gr);

trp_cert($t);
$t->write_file('authorized_keys',
    join "\n", trp_keys($t, 'entry', 'reverse'), '');

serve($t, port(8090), 'echo', digest => 0);
serve($t, port(8093), 'send', data => 'x' x 3000);
my $full = full_listener(port(8091));
my $listener = listener(port(8092));

$t->run()->plan(26);

# entries and reverses have their tunnels

wait_log($t, qr/tunnel is ready.* $_/)
    for map { my $port = port($_); (qr/.*:$port\b/) x 1 } 8433 .. 8435;

# max_conns, of each server

my @users = map { user(8080) } 1 .. 2;

is(echo($_), 'hello', 'max_conns: a user') for @users;

my $third = user(8080);
print {$third} 'hello';
isnt(end_of($third), 'timeout', 'max_conns: one too many');

close $users[0];
ok(wait_log($t, qr/^${\port(8080)} ok .*:(?:${\port(8433)}|${\port(8434)}) /,
    file => 'access.log'), 'max_conns: has ended');

my $again = user(8080);
is(echo($again), 'hello', 'max_conns: free again');
isnt(end_of(user(8080)), 'timeout', 'max_conns: one too many again');

close $_ for $users[1], $again;

# proxy_connect_timeout, the open timeout is 30 seconds

is(end_of(user(8081), 15), 'reset', 'proxy_connect_timeout');
ok(wait_log($t, qr/^${\port(8081)} timed out /, file => 'access.log'),
    'proxy_connect_timeout: status');

# proxy_next_upstream: a relay without a reverse, and one that has one

my %served = (8082 => 0, 8083 => 1, 8084 => 0, 8085 => 1);

for my $port (sort keys %served) {
    my $s = user($port);
    my $name = "proxy_next_upstream, $port";

    if ($served{$port}) {
        is(echo($s), 'hello', "$name: the next one");
        close $s;
        ok(wait_log($t, qr/^${\port($port)} ok .*:${\port(8433)} /,
            file => 'access.log'), "$name: relay");

    } else {
        is(end_of($s), 'reset', "$name: none");
        ok(wait_log($t, qr/^${\port($port)} no agent .*:${\port(8435)} /,
            file => 'access.log'), "$name: relay");
    }
}

# proxy_protocol, to the destination

my $s = user(8086);
print {$s} 'hello';
my $d = accepted($listener);
like(bytes($d, qr/hello/), qr/^PROXY TCP4(?: 127\.0\.0\.1){2} \d+ \d+\r\nhello$/,
    'proxy_protocol');
close $_ for $s, $d;

# a rate: 3000 bytes at 1000 in a second

$s = user(8087);
shutdown $s, 1;
is((drain($s))[0], 3000, 'proxy_download_rate');
close $s;
ok(wait_log($t, qr/^${\port(8087)} ok \S+ [1-9]/, file => 'access.log'),
    'proxy_download_rate: takes its time');

# limits and rules for users

my $first = user(8088);
is(echo($first), 'hello', 'limit_conn');
isnt(end_of(user(8088)), 'timeout', 'limit_conn: one too many');
isnt(end_of(user(8089)), 'timeout', 'deny');

is(echo(user(8094)), 'hello', 'parameters of listen');

# limits and rules for agents

ok(wait_log($t, qr/access forbidden by rule.*:${\port(8436)}/), 'relay: deny');
ok(wait_log($t, qr/limiting connections by zone "agents"/), 'relay: limit_conn');
is(count_log($t, qr/tunnel is ready.*:${\port(8436)}/), 0,
    'relay: denied, no tunnel');


sub user {
    return connect_to(port($_[0]));
}


sub echo {
    my ($s) = @_;
    print {$s} 'hello';
    return bytes($s, qr/hello/);
}


# what comes until it matches

sub bytes {
    my ($s, $re) = @_;
    my $text = '';

    while ($text !~ $re && IO::Select->new($s)->can_read(10)) {
        sysread $s, $text, 4096, length $text or last;
    }

    return $text;
}
