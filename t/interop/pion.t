#!/usr/bin/perl

# Tests for the TURN server with pion/turn 4 and 5 as clients: datagrams over
# UDP, TCP and TLS, connections to peers and from them over TCP.

use strict;
use warnings;

use Test::More;

use IPC::Open2;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Interop;

my $missing = interop_missing('pion');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->plan(29);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$protocol $trp_turn_username $trp_turn_end';
    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:%%PORT_8980_UDP%% udp reuseport;
        listen 127.0.0.1:8981;
        listen 127.0.0.1:8982 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_ports 26000-31999;
        trp_turn_tcp_allocations on;
    }
}

EOC

trp_cert($t);

my @peers = map { port($_) } 8090 .. 8093;
my $udp = port(8990, udp => 1);

serve($t, $_, 'echo', digest => 0) for @peers;
echo_udp($t, $udp);

$t->run();

my %server = (udp => '127.0.0.1:' . port(8980, udp => 1),
    tcp => '127.0.0.1:' . port(8981), tls => 'localhost:' . port(8982));
my $relayed = qr/^relayed 127\.0\.0\.1:(?:2[6-9]|3[01])\d{3}$/;

for my $version (4, 5) {
    like(join(' ', client($version, 'udp', 'binding')),
        qr/^mapped 127\.0\.0\.1:\d+$/, "pion $version: binding");

    for my $transport (qw/ udp tcp tls /) {
        my ($address, @echoes) = client($version, $transport, 'udp',
            "127.0.0.1:$udp");

        like($address, $relayed, "pion $version, $transport: allocation");
        is("@echoes", 'echoes 50', "pion $version, $transport: datagrams");
    }

    # its data connections are of TCP, whatever the allocation has come by

    my ($address, @bytes) = client($version, 'tcp', 'tcp',
        map { "127.0.0.1:$_" } @peers);

    like($address, $relayed, "pion $version: allocation of TCP");
    is_deeply(\@bytes, [ ('bytes 300000') x @peers ],
        "pion $version: connections to peers");

    accepts($version);

    like((client($version, 'udp', 'udp', '192.168.0.1:9'))[-1],
        qr/^error: .*403/, "pion $version: denied peer");

    like((interop('pion', 'client', $version, 'udp', $server{udp}, 'user',
        'guess', '-', 'udp', "127.0.0.1:$udp"))[-1], qr/^error: /,
        "pion $version: wrong password");
}

$t->stop();

my @log = split /\n/, $t->read_file('turn.log');
is(grep({ /^(?:UDP|TCP) user deleted$/ } @log), 10, 'allocations are deleted');


sub client {
    my ($version, $transport, @args) = @_;

    return interop('pion', 'client', $version, $transport,
        $server{$transport}, 'user', 'password',
        $t->testdir() . '/localhost.crt', @args);
}


# peers come to the relayed address

sub accepts {
    my ($version) = @_;

    my $pid = open2(my $fh, my $in, 'timeout', 60, interop_command('pion',
        'client', $version, 'tcp', $server{tcp},
        qw/ user password - accept 2 /));

    my ($port) = <$fh> =~ /^relayed \S+:(\d+)$/;
    my @peers = map { connect_to($port) } 1 .. 2;
    my @results = map { transfer($_, 100_000) } @peers;

    is(grep({ $_->{received} == 100_000
        && $_->{received_sha} eq $_->{sent_sha} } @results), 2,
        "pion $version: connections from peers");

    # which end with the allocation

    close $in;

    my @rest = <$fh>;
    is(join('', @rest), "accepted\n" x 2, "pion $version: accepted");
    waitpid $pid, 0;
    is($?, 0, "pion $version: end");
}
