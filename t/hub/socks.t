#!/usr/bin/perl

# Tests for SOCKS5 with users of the relay's own nginx: connections and datagrams.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $reverse = Test::Nginx->new();

hub_conf($hub,
    upstream => 'trp_entry_name front;',
    stream => <<'EOC');
    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_pass hub;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8981_UDP%% udp bind=127.0.0.1;
        proxy_timeout 1s;
        proxy_pass hub;
    }
EOC
reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

my $port = port(8981, udp => 1);
my $closed = port(8982, udp => 1);
my $udp = IO::Socket::IP->new(Proto => 'udp', LocalHost => '127.0.0.1',
    LocalPort => $port) or die "no socket: $!\n";

$reverse->run_daemon(\&echo_datagrams, $udp);

$hub->run();
$reverse->run()->plan(12 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');

# connections

my $c = socks(port(8081), '127.0.0.1:' . port(8090));
is($c->rep(), 0, 'connected');
is(transfer($c->socket(), 100_000)->{end}, 'eof', 'transfer');
is(socks(port(8081), '127.0.0.1:' . port(8099))->rep(), 5, 'refused');

# datagrams

my $fds = fd_count(worker_pids($hub));
my $u = socks_udp(port(8081));

for my $size (0, 1, 1400, 9000) {
    $u->send_to("127.0.0.1:$port", 'x' x $size);
    my $m = $u->receive();
    is($m && length $m->{data}, $size, "datagram of $size bytes");
}

# two destinations, and one where nobody listens

$u->send_to("127.0.0.1:$closed", 'nobody');
$u->send_to("127.0.0.1:$port", 'again');
is($u->receive()->{data}, 'again', 'again');

close $u->socket();
ok(wait_for(sub { fd_count(worker_pids($hub)) == $fds }), 'descriptors');

# a route

my $s = IO::Socket::IP->new(Proto => 'udp', PeerHost => '127.0.0.1',
    PeerPort => port(8980, udp => 1));
$s->send('route');
ok(IO::Select->new($s)->can_read(10), 'route');
$s->recv(my ($data), 100);
is($data, 'route', 'data');
