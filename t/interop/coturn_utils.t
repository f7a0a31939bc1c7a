#!/usr/bin/perl

# Tests for the TURN server with coturn's clients: every way of theirs to get
# datagrams and bytes to a peer, or to each other, and back.

use strict;
use warnings;

use Test::More;

use IO::Socket::IP;
use POSIX ();

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)
    ->has_daemon('turnutils_uclient')->has_daemon('turnutils_peer')
    ->has_daemon('turnutils_stunclient');

my $v6 = IO::Socket::IP->new(Proto => 'udp', LocalHost => '::1');

plan(skip_all => 'no IPv6 on the loopback') if !$v6;

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

# these clients do not delete their allocations

worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen [::1]:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;
        listen [::1]:%%PORT_8479%%;
        listen 127.0.0.1:%%PORT_8480%% ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 26000-31999;
        trp_turn_user user:pass;
        trp_turn_secret north;
        trp_turn_secret south;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
        trp_turn_allow 127.0.0.0/8 ::1;
        trp_turn_tcp_allocations on;
        trp_turn_unauthenticated_rate 1000r/s;
    }
}

EOC

trp_cert($t);

my ($turn, $tcp, $tls, $peer) = (port(8478, udp => 1), port(8479),
    port(8480), port(8490, udp => 1));
my $ca = $t->testdir() . '/localhost.crt';

my @user = qw/ -u user -w pass /;
my @peer = ('-X', '-e', '127.0.0.1', '-r', $peer);
my @peer6 = ('-x', '-e', '::1', '-r', $peer);
my @udp = ('-p', $turn, @user);
my @tcp = ('-p', $tcp, @user, '-t');
my @tls = ('-p', $tls, @user, '-t', '-S', '-E', $ca);

# client, its arguments, and how many messages it sends

my @clients = (
    [ 'udp, even port', 80, @udp, @peer ],
    [ 'udp', 80, @udp, @peer, '-c' ],
    [ 'udp, Send', 80, @udp, @peer, qw/ -c -s / ],
    [ 'udp, DONT-FRAGMENT', 80, @udp, @peer, qw/ -c -g / ],
    [ 'udp, DONT-FRAGMENT and Send', 80, @udp, @peer, qw/ -c -g -s / ],
    [ 'udp, padded channel data', 80, @udp, @peer, qw/ -c -D / ],
    [ 'udp, 1400 bytes', 80, @udp, @peer, qw/ -c -l 1400 / ],
    [ 'udp, repeated requests', 80, @udp, @peer, qw/ -c -G / ],

    [ 'tcp, even port', 80, @tcp, @peer ],
    [ 'tcp', 80, @tcp, @peer, '-c' ],
    [ 'tcp, Send', 80, @tcp, @peer, qw/ -c -s / ],
    [ 'tcp, odd length', 80, @tcp, @peer, qw/ -c -l 171 / ],
    [ 'tls', 80, @tls, @peer, '-c' ],
    [ 'tls, Send', 80, @tls, @peer, qw/ -c -s / ],

    [ 'udp, each other', 80, @udp, qw/ -X -c -y / ],
    [ 'udp, each other, even port', 80, @udp, qw/ -X -y / ],
    [ 'udp, each other, Send', 80, @udp, qw/ -X -c -y -s / ],
    [ 'tcp, each other', 80, @tcp, qw/ -X -c -y / ],
    [ 'tls, each other', 80, @tls, qw/ -X -c -y / ],

    [ 'secret', 80, '-p', $turn, qw/ -u someone -W north -c /, @peer ],
    [ 'next secret', 80, '-p', $turn, qw/ -u someone -W south -c /, @peer ],
    [ 'secret, tls', 80, '-p', $tls, qw/ -u someone -W north -c -t -S -E /,
        $ca, @peer ],

    [ 'TCP allocations', 80, @tcp, qw/ -X -T / ],
    [ 'TCP allocations, tls', 80, @tls, qw/ -X -T / ],
    [ 'TCP allocations, secret', 80, '-p', $tcp,
        qw/ -u someone -W north -X -T / ],

    [ 'IPv6', 80, @udp, @peer6, '-c', '::1' ],
    [ 'IPv6, even port', 80, @udp, @peer6, '::1' ],
    [ 'IPv6, Send', 80, @udp, @peer6, qw/ -c -s ::1 / ],
    [ 'IPv6, tcp', 80, @tcp, @peer6, qw/ -c ::1 / ],
    [ 'IPv6, DONT-FRAGMENT', 80, @udp, @peer6, qw/ -c -g ::1 / ],
    [ 'IPv6, TCP allocations', 80, @tcp, qw/ -x -T ::1 / ],
    [ 'IPv4 to IPv6', 80, @udp, @peer6, '-c' ],
    [ 'IPv6 to IPv4', 80, @udp, @peer, qw/ -c ::1 / ],
);

# and what is refused

my @refused = (
    [ 'wrong password', '-p', $turn, qw/ -u user -w wrong -c /, @peer ],
    [ 'unknown user', '-p', $turn, qw/ -u nobody -w pass -c /, @peer ],
    [ 'wrong secret', '-p', $turn, qw/ -u someone -W east -c /, @peer ],
);

$t->run_daemon('turnutils_peer', '-L', $_, '-p', $peer)
    for '127.0.0.1', '::1';
$t->run()->plan(2 * @clients + @refused + 4);

my %output = all(map { [ @$_[0, 2 .. $#$_] ] } @clients);

for my $client (@clients) {
    my ($name, $messages) = @$client;
    my ($sent, $received) = ('', '');

    ($sent, $received) = ($1, $2) while $output{$name}
        =~ /: tot_send_msgs=(\d+), tot_recv_msgs=(\d+)$/mg;

    is("$sent $received", "$messages $messages", $name)
        or diag($output{$name});
    like($output{$name}, qr/^exit 0$/m, "$name, end");
}

%output = all(@refused);

unlike($output{$_->[0]}, qr/tot_recv_msgs=[1-9]/, $_->[0]) for @refused;

# binding

for my $address ('127.0.0.1', '::1') {
    like(output('turnutils_stunclient', '-p', $turn, $address),
        qr/^.*UDP reflexive addr: \[?\Q$address\E\]?:\d+$/m,
        "binding, $address");
}

is(() = worker_pids($t), 2, 'workers');
is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');


# Runs many programs at a time, since they spend seconds waiting, each with four
# clients.  They give up on who is slow, so these are not too many.  Returns what
# they have said.

sub all {
    my (@list) = @_;
    my %output;

    while (my @some = splice @list, 0, 12) {
        my %files;

        for my $client (@some) {
            my ($name, @args) = @$client;

            push @args, '127.0.0.1' if $args[-1] ne '::1';
            open $files{$name}, '-|', command('turnutils_uclient',
                qw/ -n 20 -m 4 -z 5 -l 170 /, @args)
                or die "can't run: $!\n";
        }

        for my $name (keys %files) {
            local $/;
            $output{$name} = readline $files{$name};
        }
    }

    return %output;
}


sub output {
    my (@command) = @_;

    open my $fh, '-|', command(@command) or die "can't run: $!\n";
    local $/;
    return scalar <$fh>;
}


# with its errors, an end, and the way it has ended

sub command {
    return ('sh', '-c', 'timeout 60 "$@" 2>&1; echo "exit $?"', 'sh', @_);
}
