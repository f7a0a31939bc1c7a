#!/usr/bin/perl

# Tests for UDP ASSOCIATE with several relays: the first in the configuration
# carries the datagrams, backup servers come last, and when one is gone
# another one takes its place.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my @relays = map { Test::Nginx->new()->has(qw/ stream stream_ssl udp /) } 1, 2;
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

for my $i (0, 1) {
    $relays[$i]->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "\$trp_destination \$trp_status";
    access_log %%TESTDIR%%/access.log main;

    server {
        listen 127.0.0.1:%%PORT_844${i}%% ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC
}

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relays {
        server 127.0.0.1:%%PORT_8440%% backup;
        server 127.0.0.1:%%PORT_8441%%;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass relays;
    }

    server {
        listen [::ffff:127.0.0.1]:%%PORT_8081%% ipv6only=off;
        trp_socks5 public;
        proxy_pass relays;
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

    upstream relays {
        server 127.0.0.1:%%PORT_8440%%;
        server 127.0.0.1:%%PORT_8441%%;
    }

    server {
        trp_reverse relays;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8980_UDP%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relays[0], $relays[1], $entry, $reverse);

# both relays have the same certificate

$relays[1]->write_file('localhost.key',
    $relays[0]->read_file('localhost.key'));

my $keys = join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse');
$_->write_file('authorized_keys', $keys) for @relays;

my $port = port(8980, udp => 1);

$entry->run_daemon(\&echo_datagrams, IO::Socket::IP->new(Proto => 'udp',
    LocalHost => '127.0.0.1', LocalPort => $port) || die("no socket: $!\n"));

$_->run() for @relays;
$entry->run();
$reverse->run()->plan(16 + 2 * 3);

for my $i (0, 1) {
    ok(wait_log($relays[$i], qr/(?:entry|reverse) .* has a tunnel/,
        count => 8), "relay $i");
}

# the one that is no backup

my $c = socks_udp(port(8080));

is($c->ask("127.0.0.1:$port", 'see')->{data}, 'see', 'first');
$c->close();

ok(wait_log($relays[1], qr/^127.0.0.1:$port ok$/, file => 'access.log'),
    'by the second relay');
is(count_log($relays[0], qr/./, file => 'access.log'), 0, 'not by the backup');

# a client of IPv4 at a socket of IPv6

$c = socks_udp(port(8081));
like($c->bnd(), qr/^127\.0\.0\.1:\d+$/, 'IPv4');
is($c->ask("127.0.0.1:$port", 'mapped')->{data}, 'mapped', 'at once IPv6');
$c->close();

# it goes, with a stream on it

$c = socks_udp(port(8080));
is($c->ask("127.0.0.1:$port", 'before')->{data}, 'before', 'before');

kill 'TERM', nginx_pid($relays[1]);
ok(wait_log($entry, qr/closed tunnel in the middle of a stream/), 'it went');

is($c->ask("127.0.0.1:$port", 'behind')->{data}, 'behind', 'the same client');

my $other = socks_udp(port(8080));
is($other->ask("127.0.0.1:$port", 'new')->{data}, 'new', 'another one');

$_->close() for $c, $other;

ok(wait_log($relays[0], qr/^127.0.0.1:$port ok$/, file => 'access.log',
    count => 2), 'by the backup');

# without any relay nothing is carried, and it is back when one is

$relays[0]->stop();
$c = socks_udp(port(8080));

is($c->rep(), 0, 'without a relay');
$c->send_to("127.0.0.1:$port", 'kept');
is($c->receive(0.2), undef, 'no answer');

$relays[0]->run();
is($c->receive()->{data}, 'kept', 'was kept');
is($c->ask("127.0.0.1:$port", 'back')->{data}, 'back', 'as before');
