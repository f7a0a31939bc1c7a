#!/usr/bin/perl

# Tests for the reuse of tunnels: thousands of short connections one after
# another need no more tunnels than the pools hold, and leave nothing behind.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;

use constant COUNT => 2000;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=4;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=4;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }

    server {
        listen 127.0.0.1:8081;
        return "$remote_port\n";
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

$relay->run();
$entry->run();
$reverse->run()->plan(12 + 4);

ok(wait_log($relay, qr/ has a tunnel /, count => 8), 'pools are filled');

my @workers = map { worker_pids($_) } $relay, $entry, $reverse;

my %got = rounds(COUNT / 4);
is($got{answered}, COUNT / 4, 'first quarter');

quiet();
my @fds = map { fd_count($_) } @workers;
my @memory = map { private_memory($_) } @workers;

my $good = 0;
$good += { rounds(COUNT / 4) }->{answered} for 1 .. 3;
is($good, COUNT * 3 / 4, 'the rest');

quiet();
my $tunnels = count_log($relay, qr/ has a tunnel /);
cmp_ok($tunnels, '<', 20, "no more than $tunnels tunnels");

ok(wait_log($relay, qr/^200 ok$/, file => 'access.log', count => COUNT),
    'access log of the relay');

for my $i (0 .. 2) {
    my $role = (qw/ relay entry reverse /)[$i];
    cmp_ok(fd_count($workers[$i]), '<=', $fds[$i] + 4,
        "descriptors of the $role");
}

SKIP: {
    skip 'memory is not given back under a sanitizer', 3
        if $ENV{ASAN_OPTIONS};

    for my $i (0 .. 2) {
        my $role = (qw/ relay entry reverse /)[$i];
        cmp_ok(private_memory($workers[$i]) - $memory[$i], '<', 1024,
            "memory of the $role");
    }
}

is(count_log($_, qr/\[(?:warn|error|crit)\]/), 0, 'no errors') for $entry;


sub rounds {
    my ($count) = @_;
    my $answered = 0;

    for (1 .. $count) {
        my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080))
            or die "can't connect: $!\n";
        setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'l! l!', 30, 0;
        my $answer = <$s>;
        $answered++ if defined $answer && $answer =~ /^\d+\n/;
    }

    return (answered => $answered);
}


# all users have gone, and their tunnels are idle again

sub quiet {
    wait_for(sub { tcp_count(port(8080)) == 0 && tcp_count(port(8081)) == 0 });
}
