#!/usr/bin/perl

# Tests for several workers of each role, with and without reuseport at the
# relay: every user finds his way.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    server {
        listen 127.0.0.1:8444 ssl reuseport;
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
worker_processes 2;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream one {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_name e1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass one;
    }

    upstream two {
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_name e2;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8090%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass two;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream one {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse one;
        trp_reverse_key reverse;
        trp_reverse_name r1;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }

    upstream two {
        server 127.0.0.1:8444;
    }

    server {
        trp_reverse two;
        trp_reverse_key reverse;
        trp_reverse_name r2;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8081), 'echo');

$relay->run();
$entry->run();
$reverse->run()->plan(14 + 4);

ok(wait_for(sub { worker_pids($relay) == 4 }), 'workers of the relay');
ok(wait_for(sub { worker_pids($entry) == 2 }), 'workers of the entry');
ok(wait_for(sub { worker_pids($reverse) == 2 }), 'workers of the reverse');

for my $port (8080, 8090) {
    my $name = $port == 8080 ? 'one socket' : 'reuseport';
    my ($good, $ends) = (0, '');

    for my $batch (1 .. 10) {
        my @users = map { connect_to(port($port), timeout => 30) } 1 .. 100;
        my $number = 0;

        for my $s (@users) {
            syswrite $s, "$batch " . ++$number;
            shutdown $s, 1;
        }

        $number = 0;

        for my $s (@users) {
            my $text = "$batch " . ++$number;
            my $all = '';
            1 while sysread $s, $all, 4096, length $all;
            $good++ if $all =~ /^$text\d [0-9a-f]{64}\n\z/
                && index($all, $text . length($text) . ' ') == 0;
        }
    }

    is($good, 1000, "$name: none is lost");

    my $result = transfer(connect_to(port($port), timeout => 30), 1_000_000);
    is("$result->{received} $result->{end}", '1000000 eof', 'bytes');
    is($result->{received_sha}, $result->{sent_sha}, 'digest');
}

# the tunnels of each group are all in one worker, once they know the hint

for my $name (qw/ e1 e2 r1 r2 /) {
    my %pids = map { $_ => 1 } map { /info\] (\d+)#/ ? $1 : () }
        grep { /"$name" .* has a tunnel/ } split /^/,
        $relay->read_file('error.log');
    is(keys %pids, 1, "$name: one worker of the relay");
}

is(count_log($_, qr/\[(?:warn|error|crit)\]/), 0, 'no errors')
    for $relay;
