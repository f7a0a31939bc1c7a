#!/usr/bin/perl

# "error_log ... debug" tells the story of a connection by its id, from the
# user's first byte to the last DONE, in the logs of all roles: one through
# SOCKS5, one of datagrams, one that is refused, one to a published service, and
# one of a hub's user whose group is another worker's.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp --with-debug /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

EOC

# a group that is a variable is known late: its users are not handed over to its
# worker, but reach it through a near tunnel

$relay->write_file_expand('nginx.conf', "worker_processes 2;\n$head" . <<'EOC');
stream {
    %%TEST_GLOBALS_STREAM%%

    map $remote_port $group {
        default web;
    }

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream hub {
        trp_entry local;
        trp_entry_group $group;
    }

    upstream published {
        trp_entry local;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass hub;
    }

    server {
        listen 127.0.0.1:8082;
        trp_publish web.example;
        proxy_half_close on;
        proxy_pass published;
    }
}

EOC

$entry->write_file_expand('nginx.conf', $head . <<'EOC');
stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key any;
        trp_entry_group web;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8099%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8083_UDP%%:%%PORT_8092_UDP%% udp bind=127.0.0.1;
        proxy_timeout 1s;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8084;
        trp_socks5;
        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', $head . <<'EOC');
stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key any;
        trp_reverse_group web;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:*;
        trp_reverse_publish web.example 127.0.0.1:%%PORT_8090%%;
        proxy_half_close on;
        proxy_timeout 2s;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n",
    trp_keys($entry, 'any'),
    'permitlisten="web.example" ' . trp_keys($reverse, 'any'), '');

serve($relay, port(8090), 'send', data => "hello\n");

my $echo = IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1:' . port(8092, udp => 1)) or die "$!\n";
$relay->run_daemon(\&echo_datagrams, $echo);
close $echo;

$_->run() for $relay, $reverse, $entry;
$relay->plan(16 + 4);

my $service = '127.0.0.1:' . port(8090);
my $data = qr/DATA len:6/;
my $over = qr/is over: ok, ends: 1 .*, 1 .*, bytes: 0 from the entry, 6 to it/;
my $closes = qr/closes it, read: ended, written: ended, /;

# SOCKS5

my $c = socks(port(8084), $service);
my $from = '127.0.0.1:' . $c->socket()->sockport();
is($c->read(6), "hello\n", 'SOCKS5');
$c->close();
my $id = id($entry, $from);

is(story($entry, $id, qr/accepted, the client wants "\Q$service\E"/,
    qr/the balancer's choice/, qr/takes tunnel/, qr/tx OPEN .* from \Q$from\E,/,
    qr/rx ACCEPT/, qr/accepted by the reverse/, qr/socks5 reply: 0 \(ok\)/,
    qr/rx $data/, qr/tx DONE/), 'all', 'entry');
is(story($relay, $id, qr/rx OPEN/, qr/is paired/, qr/tx OPEN/, qr/rx ACCEPT/,
    qr/tx ACCEPT/, qr/rx $data/, qr/tx $data/, qr/is over: ok/), 'all',
    'relay');
is(story($reverse, $id, qr/rx OPEN/, qr/takes tunnel/,
    qr/is a TCP connection to/, qr/tx ACCEPT/, qr/tx $data/,
    qr/$closes.*0 bytes read, 6 written/), 'all', 'reverse');

# datagrams

my $s = IO::Socket::INET->new(Proto => 'udp',
    PeerAddr => '127.0.0.1:' . port(8083, udp => 1)) or die "$!\n";
$from = '127.0.0.1:' . $s->sockport();
$s->send('hello!');
$s->recv(my $answer, 100);
is($answer, 'hello!', 'datagrams');
$id = id($entry, $from);

is(story($entry, $id, qr/accepted, the route leads to/, qr/takes tunnel/,
    qr/tx OPEN .* udp to /, qr/tx $data/, qr/rx ACCEPT/, qr/rx $data/,
    qr/closes it, .* 6 bytes read, 6 written/), 'all', 'entry');
is(story($relay, $id, qr/rx OPEN .* udp to /, qr/is paired/, qr/tx OPEN/,
    qr/rx ACCEPT/, qr/tx ACCEPT/,
    qr/is over: .*, bytes: 6 from the entry, 6 to it/), 'all', 'relay');
is(story($reverse, $id, qr/rx OPEN .* udp to /, qr/is a UDP connection to/,
    qr/rx $data/, qr/tx ACCEPT/, qr/tx $data/,
    qr/closes it, .* 6 bytes read, 6 written/), 'all', 'reverse');

# refused

$s = connect_to(port(8080));
$from = '127.0.0.1:' . $s->sockport();
end_of($s);
$id = id($entry, $from);

is(story($entry, $id, qr/takes tunnel/, qr/tx OPEN/, qr/rx REFUSE .* refused/,
    qr/closes it, read: aborted, .* 0 bytes read, 0 written/, qr/tx DONE/),
    'all', 'refused: entry');
is(story($relay, $id, qr/rx OPEN/, qr/is paired/,
    qr/rx REFUSE .* refused, may be retried/, qr/tx REFUSE .* refused$/,
    qr/is over: refused/), 'all', 'relay');
is(story($reverse, $id, qr/rx OPEN/, qr/is a TCP connection to/,
    qr/tx REFUSE .* refused, may be retried/), 'all', 'reverse');

# a service

$from = hello(8082, 'a published service');
$id = id($relay, $from);

is(story($relay, $id, qr/accepted, the service is "web\.example"/,
    qr/takes tunnel/, qr/tx OPEN .* published to web\.example:/, qr/rx ACCEPT/,
    qr/rx $data/, qr/$closes.*6 bytes read/), 'all', 'hub');
is(story($reverse, $id, qr/rx OPEN .* published to web\.example:/,
    qr/is a TCP connection to "\Q$service\E"/, qr/tx ACCEPT/, qr/tx $data/,
    qr/leaves tunnel/), 'all', 'reverse');

# users of a hub, until one is in the other worker

my @steps = (qr/accepted, the route leads to/, qr/takes tunnel .* of "local"/,
    qr/tx OPEN/, qr/rx OPEN/, qr/is paired: entry "local" .* of reverse/,
    qr/tx OPEN/, qr/rx ACCEPT/, qr/tx ACCEPT/, qr/rx ACCEPT/);

wait_for(sub {
    my $s = connect_to(port(8081));
    $from = '127.0.0.1:' . $s->sockport();
    readline $s;
    shutdown $s, 1;
    end_of($s);
    $id = id($relay, $from);
    return $relay->read_file('error.log') =~ /$id is paired: entry "local"/;
});

is(story($relay, $id, @steps, qr/$closes.*6 bytes read/), 'all',
    'hub: the worker that has the user');
is(story($relay, $id, $over), 'all', 'hub: the worker of the group');


# the id of the stream of a user

sub id {
    my ($t, $from) = @_;

    return wait_for(sub {
        $t->read_file('error.log') =~ / OPEN .*stream (\w{16}),.* \Q$from\E,/
            ? $1 : 0;
    });
}


# asks the service; returns the own address

sub hello {
    my ($port, $name) = @_;
    my $s = connect_to(port($port));
    my $from = '127.0.0.1:' . $s->sockport();

    is(readline($s), "hello\n", $name);
    shutdown $s, 1;
    end_of($s);

    return $from;
}
