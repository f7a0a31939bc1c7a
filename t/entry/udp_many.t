#!/usr/bin/perl

# Many users of a route of UDP at once, at an entry with several workers, by
# way of a relay and of the relay in the same nginx: each has one session.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;
use Socket qw/ unpack_sockaddr_in /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

use constant { USERS => 150, ROUNDS => 10 };

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# a relay with a route of its own, in one worker

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_timeout 5s;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream local {
        trp_entry local;
    }

    server {
        trp_route %%PORT_8981_UDP%%:%%PORT_8990_UDP%% udp;
        proxy_pass local;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 3;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_timeout 5s;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=16;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

$relay->run_daemon(\&service, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8990, udp => 1))
    || die("no socket: $!\n"));

$relay->run();
$reverse->run();
$entry->run()->plan(8 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;

for my $way ([ 8980, 'relay' ], [ 8981, 'local' ]) {
    my ($port, $name) = @$way;

    my @users = map { IO::Socket::INET->new(Proto => 'udp',
        PeerAddr => '127.0.0.1', PeerPort => port($port, udp => 1))
        || die("no socket: $!\n") } 1 .. USERS;
    my (%seen, $wrong, $none);

    # each user sends before any of them has an answer

    for my $round (1 .. ROUNDS) {
        $users[$_]->send("$_ $round") for 0 .. $#users;

        for my $n (0 .. $#users) {
            my $answer = answer($users[$n]);

            if (!defined $answer) {
                $none++;
                next;
            }

            my ($client, $data) = split / /, $answer, 2;

            $wrong++ if $data ne "$n $round";
            $seen{$n}{$client} = 1;
        }
    }

    is($none, undef, "$name, all have answers");
    is($wrong, undef, "$name, their own");
    is(scalar(grep { keys %$_ > 1 } values %seen), 0,
        "$name, each has one session");

    my %clients = map { map { $_ => 1 } keys %$_ } values %seen;
    is(scalar(keys %clients), USERS, "$name, and no two share one");
}


sub service {
    my ($s) = @_;

    while (1) {
        my $from = recv $s, my $data, 1000, 0;
        next if !defined $from;

        my ($port) = unpack_sockaddr_in($from);
        send $s, "$port $data", 0, $from;
    }
}


sub answer {
    my ($s) = @_;

    return if !IO::Select->new($s)->can_read(20);
    $s->recv(my $data, 1000);
    return $data;
}
