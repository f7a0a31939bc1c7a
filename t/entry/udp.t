#!/usr/bin/perl

# Tests for routes of UDP: each user has a session, whose datagrams go to the
# destination and come back, whole and in order.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
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

    log_format main "$protocol $trp_destination_port $status $trp_status "
                    "$bytes_received $bytes_sent";
    access_log %%TESTDIR%%/access.log main;

    proxy_timeout 3s;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.2;
        trp_route %%PORT_8980_UDP%%:%%PORT_8991%% bind=127.0.0.2;
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
serve($relay, port(8991), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(15 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;

# one user: datagrams of all sizes, one by one

my $u = user();

for my $size (1, 0, 2, 160, 1472, 1500, 9000, 16000, 16380) {
    my $data = join '', map { chr(33 + ($_ + $size) % 90) } 1 .. $size;
    $u->send($data);
    is(answer($u), $data, "$size bytes");
}

# those that are too long are lost, and nothing else is

$u->send('x' x $_) for 16381, 65507;
$u->send('next');
is(answer($u), 'next', 'too long for a frame');

# many at once stay whole and in order

for my $round (1 .. 20) {
    $u->send("$round $_") for 1 .. 20;
    my @got = map { answer($u) } 1 .. 20;
    next if "@got" eq join ' ', map { "$round $_" } 1 .. 20;
    is("@got", '', 'in order');
}

pass('in order');

# others have sessions of their own

my @users = map { user() } 1 .. 20;

for my $round (1 .. 3) {
    $users[$_]->send("user $_ $round") for 0 .. 19;
    is(join(' ', map { answer($users[$_]) } 0 .. 19),
        join(' ', map { "user $_ $round" } 0 .. 19), "20 users, round $round");
}

# a TCP route on the same port; at 127.0.0.1, the test holds it as a lock

my $s = stream('127.0.0.2:' . port(8980, udp => 1));
is($s->io('SEE', length => 3), 'SEE', 'TCP on the same port');


sub user {
    return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.2',
        PeerPort => port(8980, udp => 1)) || die("no socket: $!\n");
}


sub answer {
    my ($s) = @_;

    return if !IO::Select->new($s)->can_read(10);
    $s->recv(my $data, 65536);
    return $data;
}
