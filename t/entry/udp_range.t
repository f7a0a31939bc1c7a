#!/usr/bin/perl

# Tests for a range of UDP ports.

use strict;
use warnings;

use Test::More;

use IO::Select;
use IO::Socket::INET;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $reverse = Test::Nginx->new();

my $from = port_range(8960, 3, udp => 1);
my $to = port_range(8970, 3, udp => 1);

hub_conf($hub, main => 'worker_processes 2;', stream => <<"EOC");
    server {
        trp_route $from-${\($from + 2)}:$to-${\($to + 2)} udp bind=127.0.0.1;
        proxy_responses 1;
        proxy_pass hub;
    }
EOC

reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

for my $port ($to .. $to + 2) {
    my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1',
        LocalPort => $port) or die "no socket: $!\n";

    $reverse->run_daemon(sub {
        while (defined $s->recv(my $data, 1024)) {
            $s->send("$data from $port");
        }
    });
}

$hub->run();
$reverse->run()->plan(3 + 2);

is(datagram($from + $_), 'hello from ' . ($to + $_), "port $_") for 0 .. 2;


sub datagram {
    my ($port) = @_;

    my $s = IO::Socket::INET->new(Proto => 'udp',
        PeerAddr => "127.0.0.1:$port") or die "no socket: $!\n";

    $s->send('hello');
    IO::Select->new($s)->can_read(10) or return 'timeout';
    $s->recv(my $text, 1024);

    return $text;
}
