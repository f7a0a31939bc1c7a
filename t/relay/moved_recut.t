#!/usr/bin/perl

# Agents behind a proxy that cuts TLS records anew: the hint for the relay's
# worker is found in several records.  And where there is none to be found,
# MOVED alone leads to the right worker.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;
use POSIX ();

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

worker_processes 16;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

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
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_name localhost;
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
        server 127.0.0.1:8444;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_name localhost;
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
$relay->run_daemon(\&recut, listener(port(8444)), port(8443));

$relay->run();
$entry->run();
$reverse->run()->plan(3 + 4);

# 4 tunnels each

ok(wait_log($relay, qr/ has a tunnel /, count => 8), 'tunnels');
is(visit(port(8080)), 1, 'a user is served');

# without a hint, each group in another worker, and from an address that has
# never given one

my $key = $entry->testdir() . '/entry';
my $most = 0;

for my $group (1 .. 16) {
    for (my $n = 1; $n <= 64; $n++) {
        my $c = Test::Nginx::TRP::Client->new(port => port(8443),
            LocalAddr => '127.0.0.2');
        my $answer = $c->login(key => $key, group => "group$group");

        $most = $n if $n > $most;
        last if $answer && $answer->{type} eq 'READY';
    }
}

cmp_ok($most, '<=', 3, "$most dials at most");


# Each connection's first record goes on in three.

sub recut {
    my ($listener, $port) = @_;

    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = sub {
        local $SIG{TERM} = 'IGNORE';
        kill 'TERM', -$$;
        POSIX::_exit(0);
    };

    while (1) {
        my $s = $listener->accept() or next;

        if (!fork()) {
            $SIG{TERM} = 'DEFAULT';
            pass_on($s, IO::Socket::INET->new("127.0.0.1:$port"));
            POSIX::_exit(0);
        }
    }
}


sub pass_on {
    my ($client, $server) = @_;

    my $in = exactly($client, 5);
    my ($head, $size) = unpack 'a3 n', $in;
    my $body = exactly($client, $size);

    for my $part (substr($body, 0, 2), substr($body, 2, 100),
        substr($body, 102))
    {
        syswrite $server, $head . pack 'n/a*', $part;
    }

    my $select = IO::Select->new($client, $server);

    while (my @ready = $select->can_read()) {
        for my $s (@ready) {
            sysread $s, my $data, 65536 or return;
            syswrite $s == $client ? $server : $client, $data;
        }
    }
}


sub exactly {
    my ($s, $size) = @_;
    my $data = '';

    while (length $data < $size) {
        sysread $s, $data, $size - length $data, length $data
            or POSIX::_exit(0);
    }

    return $data;
}
