#!/usr/bin/perl

# Stock directives for sessions of UDP at a route: when they end, and who may
# have one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);
reverse_conf($reverse, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$server_port $protocol $status $trp_status "
                    "$bytes_received $bytes_sent";
    access_log %%TESTDIR%%/access.log main;

    proxy_timeout 3s;

    limit_conn_zone $server_addr zone=addr:1m;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        proxy_responses 1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8981_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        proxy_responses 1;
        proxy_requests 2;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8982_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        proxy_timeout 500ms;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8983_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        limit_conn addr 2;
        proxy_pass relay;
    }

    server {
        trp_route 127.0.0.2:%%PORT_8984_UDP%%:%%PORT_8990_UDP%% udp
                  bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8985_UDP%%:%%PORT_8991_UDP%% udp bind=127.0.0.1;
        proxy_responses 0;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

$relay->run_daemon(\&echo_datagrams, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8990, udp => 1))
    || die("no socket: $!\n"));

$relay->run_daemon(\&record, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8991, udp => 1))
    || die("no socket: $!\n"), $relay);

$relay->run();
$reverse->run();
$entry->run()->plan(20 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;

# proxy_responses: the session ends with the answer

my $u = user(8980);
is(ask($u, 'one'), 'one', 'proxy_responses 1');
ok(wait_log($entry, logged(8980, 'UDP 200 ok 3 3')), 'ends the session');
is(ask($u, 'three'), 'three', 'another session');
ok(wait_log($entry, logged(8980, 'UDP 200 ok 5 5')), 'ends as well');

# proxy_requests: the third datagram begins a session of its own

$u = user(8981);
$u->send($_) for 'a', 'bc', 'def';
is(join('', sort map { answer($u) } 1 .. 3), 'abcdef', 'proxy_requests 2');
ok(wait_log($entry, logged(8981, 'UDP 200 ok 3 3')), 'two of them');

# proxy_timeout: the session ends when it was idle for so long

$u = user(8982);
is(ask($u, 'tick'), 'tick', 'proxy_timeout');
ok(wait_log($entry, logged(8982, 'UDP 200 ok 4 4')), 'ends the session');
is(ask($u, 'tock'), 'tock', 'another session');

# limit_conn: each client has a session

my @users = map { user(8983) } 1 .. 3;
is(ask($users[$_], "user $_"), "user $_", "limit_conn, user $_") for 0, 1;
$users[2]->send('no');
ok(wait_log($entry, logged(8983, 'UDP 503 over the limit 2 0')),
    'limit_conn, one more');
is(ask($users[0], 'again'), 'again', 'limit_conn, the first one');

# the source of a route

$u = user(8984);
$u->send('no');
ok(wait_log($entry, logged(8984, 'UDP 403 not allowed 2 0')),
    'not from this source');
$u = user(8984, '127.0.0.2');
is(ask($u, 'yes'), 'yes', 'from this source');

# proxy_responses 0: what is sent arrives, and nothing is waited for

$u = user(8985);

for my $line ('one', 'another') {
    $u->send($line);
    ok(wait_log($relay, qr/^$line$/, file => 'record'), "$line arrives");
    ok(wait_log($entry, logged(8985, "UDP 200 ok ${\length $line} 0")),
        'its session ends');
}

# all at once: some of them wait for a tunnel

user(8985)->send("burst $_") for 1 .. 64;
ok(wait_log($relay, qr/^burst /, file => 'record', count => 64),
    'proxy_responses 0, many at once');


sub record {
    my ($s, $t) = @_;

    while (defined $s->recv(my $data, 65536)) {
        open my $fh, '>>', $t->testdir() . '/record' or die "no file: $!\n";
        print $fh "$data\n";
    }
}


sub logged {
    my ($port, $rest) = @_;
    return (qr/^${\port($port, udp => 1)} $rest$/, file => 'access.log');
}


sub user {
    my ($port, $addr) = @_;

    return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1',
        LocalAddr => $addr, PeerPort => port($port, udp => 1))
        || die("no socket: $!\n");
}


sub ask {
    my ($s, $data) = @_;

    $s->send($data);
    return answer($s);
}


sub answer {
    my ($s) = @_;

    return if !IO::Select->new($s)->can_read(10);
    $s->recv(my $data, 65536);
    return $data;
}
