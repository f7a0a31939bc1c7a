#!/usr/bin/perl

# A session of UDP goes on while the entry, the reverse, and the relay are
# reloaded: in both directions, and with the same socket at the service.  Half
# of the users come to a route of the relay's own nginx.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;
use Socket qw/ unpack_sockaddr_in /;
use Time::HiRes qw/ sleep time /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

use constant USERS => 8;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

reverse_conf($reverse, 8443);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $status $trp_status";

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
        access_log %%TESTDIR%%/access.log main;
        proxy_timeout 3s;
        proxy_pass local;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp;
        proxy_timeout 3s;
        proxy_pass relay;
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
$entry->run()->plan(18 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;

my @users = map { IO::Socket::INET->new(Proto => 'udp',
    PeerAddr => '127.0.0.1', PeerPort => port(8980 + $_ % 2, udp => 1))
    || die("no socket: $!\n") } 1 .. USERS;

my $select = IO::Select->new(@users);
my %of = map { ($users[$_] => $_) } 0 .. $#users;
my $next = 0;

# the service tells which of its clients it is

my @first = map { ask($_) } @users;
is(scalar(grep { defined } @first), USERS, 'sessions');

for my $t ([ $entry, 'entry' ], [ $reverse, 'reverse' ], [ $relay, 'relay' ],
    [ $entry, 'entry once more' ])
{
    my ($nginx, $name) = @$t;
    my ($sent, $got) = under_load(sub { $nginx->reload() }, $nginx);

    cmp_ok($sent - $got, '<=', 2, "reload of the $name")
        or diag("$sent sent, $got answers");
    is(join(' ', map { ask($_) || 'none' } @users), "@first",
        "reload of the $name, same sessions");
}

# the service speaks without being asked, after one more reload

$_->send('later') for @users;
ok(reload_and_wait($entry), 'reload');

my %told;

while (keys %told < USERS && $select->can_read(10)) {
    for my $s ($select->can_read(0)) {
        $s->recv(my $data, 100);
        $told{$s} = $data if $data =~ /^told/;
    }
}

is(scalar(keys %told), USERS, 'the service speaks first');

# a new user is served by the new worker, and sessions end when they are idle

my $new = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1',
    PeerPort => port(8980, udp => 1)) || die("no socket: $!\n");
ok(ask($new), 'a new user');

for ([ $entry, USERS / 2 + 1 ], [ $relay, USERS / 2 ]) {
    my ($t, $count) = @$_;

    ok(wait_log($t, qr/^UDP 200 ok$/, file => 'access.log',
        count => $count), 'sessions end');

    # on a busy machine, a new worker may read a datagram before the old one has
    # its own socket, and has a session for it

    cmp_ok(count_log($t, qr/./, file => 'access.log'), '<=', $count + 2,
        'no others');
}

ok(wait_for(sub { worker_pids($entry) == 2 }), 'old workers exit');
ok(wait_for(sub { worker_pids($reverse) == 1 }), 'old workers exit');


# Sends a datagram every few milliseconds, in turn from each user, while there
# is a reload, and for some time after it.

sub under_load {
    my ($code, $nginx) = @_;
    my ($sent, $got, $end) = (0, 0);
    my $begin = time();
    my @before = worker_pids($nginx);
    my %old = map { $_ => 1 } @before;
    my $reloaded;

    while (1) {
        my $now = time();

        if (!$reloaded && $now > $begin + 0.1) {
            $code->();
            $reloaded = 1;
        }

        if ($reloaded && !$end
            && (grep { !$old{$_} } worker_pids($nginx)) == @before)
        {
            $end = $now + 1;
        }

        last if $end && $now > $end || $now > $begin + 30;

        $users[$sent % USERS]->send('load ' . ++$next);
        $sent++;

        $got += gather(0.005);
    }

    $end = time() + 5;
    $got += gather(0.05) while $got < $sent && time() < $end;

    return ($sent, $got);
}


sub gather {
    my ($wait) = @_;
    my $n = 0;

    for my $s ($select->can_read($wait)) {
        $s->recv(my $data, 100);
        $n++ if $data =~ /^load/;
    }

    return $n;
}


sub ask {
    my ($s) = @_;

    $s->send('who');

    while (IO::Select->new($s)->can_read(10)) {
        $s->recv(my $data, 100);
        return $1 if $data =~ /^you (\d+)/;
    }

    return;
}


sub service {
    my ($s) = @_;
    my %later;

    while (1) {

        if (IO::Select->new($s)->can_read(0.1)) {
            my $from = recv $s, my $data, 1000, 0;
            next if !defined $from;

            my ($port) = unpack_sockaddr_in($from);

            if ($data eq 'later') {
                $later{$from} = time() + 2;
            } else {
                send $s, $data eq 'who' ? "you $port" : $data, 0, $from;
            }
        }

        for (grep { $later{$_} < time() } keys %later) {
            send $s, 'told', 0, $_;
            delete $later{$_};
        }
    }
}
