#!/usr/bin/perl

# Tests for many silent connections to a relay: what each costs, agents that
# connect meanwhile, and that all of it is given back.  TRP_SILENT=10000 for
# more of them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use POSIX ();

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $count = $ENV{TRP_SILENT} || 2000;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

plan(skip_all => 'too few descriptors')
    if (POSIX::sysconf(POSIX::_SC_OPEN_MAX()) || 0) < $count + 200;

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections CONNECTIONS;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log notice;

    server {
        listen 127.0.0.1:8443 ssl backlog=4096;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_auth_timeout 1h;
        trp_relay_max_unauthenticated 100000;
        trp_relay_max_per_address 100000;
        trp_authorized_keys authorized_keys;
    }
}

EOC

# a quarter of the connections may be unauthenticated

my $connections = 4 * ($count + 100);

$relay->write_file_expand('nginx.conf', $conf =~ s/CONNECTIONS/$connections/r);

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run()->plan(14);

my $dir = $relay->testdir();
my ($worker, $fds);
my $hello = client_hello('trp/2');

# in KiB, with room for other systems

my @kinds = (
    [ 'silent', 8, sub { tcp($_[0], '') } ],
    [ 'half a ClientHello', 8, sub { tcp($_[0], substr $hello, 0, 100) } ],
    [ 'TLS', 64, sub { Test::Nginx::TRP::Client->new(port => port(8443),
        LocalAddr => $_[0]) } ],
);

for my $kind (@kinds) {
    my ($name, $limit, $connect) = @$kind;

    # a worker that has not yet had memory to use again

    reload_and_wait($relay);
    ($worker) = worker_pids($relay);
    agent();
    $fds = wait_for(sub { steady($worker) });

    my $before = private_memory($worker);
    my @all = map { $connect->('127.0.1.' . (1 + $_ % 50)) } 1 .. $count;

    ok(wait_for(sub { fd_count($worker) >= $fds + $count }, 120),
        "$name: $count");
    agent();

    my $each = (private_memory($worker) - $before) / $count;
    diag(sprintf '%s: %.1f KiB each', $name, $each) if $ENV{TRP_SILENT};

    SKIP: {
        skip 'memory is another under a sanitizer', 1 if $ENV{ASAN_OPTIONS};
        cmp_ok($each, '<', $limit, "$name: memory");
    }

    my $agent = agent();
    is($agent->{answer}->{type}, 'READY', "$name: an agent");
    undef $agent;

    undef @all;
    ok(wait_for(sub { fd_count($worker) <= $fds }, 120),
        "$name: descriptors");
}

# what is left is used again by the next ones

my $memory = private_memory($worker);
my @all = map { $kinds[2]->[2]->('127.0.2.1') } 1 .. $count;
undef @all;
ok(wait_for(sub { fd_count($worker) <= $fds }, 120), 'once more');

SKIP: {
    skip 'memory is another under a sanitizer', 1 if $ENV{ASAN_OPTIONS};
    cmp_ok(private_memory($worker) - $memory, '<', 2048, 'memory');
}


# the number of descriptors, if it stays the same

sub steady {
    my ($pid) = @_;
    my $count = fd_count($pid);

    select undef, undef, undef, 0.1;
    return fd_count($pid) == $count ? $count : 0;
}


sub agent {
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    $agent->{answer} = $agent->login(key => "$dir/any") || {};

    return $agent;
}


sub tcp {
    my ($from, $data) = @_;

    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port(8443),
        LocalAddr => $from) or die "can't connect: $!\n";
    syswrite $s, $data;

    return $s;
}
