#!/usr/bin/perl

# Tests for services that a reverse publishes: a port and a name, one line at
# both ends for what is refused, and users of names that nobody has.

use strict;
use warnings;

use IO::Socket::SSL qw/ SSL_VERIFY_NONE /;
use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl
    stream_ssl_preread stream_map /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my $format = 'log_format trp "$trp_destination $trp_group $trp_status $status";';

$relay->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    $format
    access_log %%TESTDIR%%/stream.log trp;

    trp_relay_zone trp 64k;

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    $format
    access_log %%TESTDIR%%/stream.log trp;

    upstream published {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_group lab;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        listen 127.0.0.1:8081;
        trp_publish;
        proxy_half_close on;
        proxy_pass published;
    }

    map \$ssl_preread_server_name \$service {
        default \$ssl_preread_server_name;
        bad.example "no name";
        port.example %%PORT_8080%%;
    }

    server {
        listen 127.0.0.1:8443;
        ssl_preread on;
        trp_publish \$service;
        proxy_half_close on;
        proxy_pass published;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    $format
    access_log %%TESTDIR%%/stream.log trp;

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_group lab;
        trp_reverse_allow 192.0.2.1;
        trp_reverse_publish %%PORT_8080%% 127.0.0.1:8090;
        trp_reverse_publish Git.Dev.Example. localhost:%%PORT_8091%%;
        trp_reverse_publish other.example 127.0.0.1:8090;
        trp_reverse_publish %%PORT_8081%% 127.0.0.1:8090;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_pass \$trp_destination;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8090;
        location / {
            return 200 "plain \$uri";
        }
    }

    server {
        listen 127.0.0.1:8091 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        location / {
            return 200 "tls \$uri";
        }
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$reverse->write_file("localhost.key", $relay->read_file("localhost.key"));

my ($p0, $p1) = map { port($_) } 8080, 8081;

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    "permitlisten=\"$p0,*.dev.example\" " . trp_keys($reverse, 'reverse'));

$relay->run();
$reverse->run();
$entry->run()->plan(21 + 2 * 2);

# what is published, and what is not

wait_log($reverse, qr/is (?:not )?published/, count => 4);

for my $name ($p0, 'git.dev.example') {
    is(count_log($reverse, qr/\[notice\].*"\Q$name\E" is published,/), 1,
        "$name, said by the reverse");
    is(count_log($relay, qr/\[notice\].*reverse "\S+" \(\S+\) at .* publishes "\Q$name\E"/),
        1, "$name, said by the relay");
}

for my $name ($p1, 'other.example') {
    is(count_log($reverse, qr/\[warn\].*"\Q$name\E" is not published: .*"permitlisten"/),
        1, "$name, refused");
    is(count_log($relay, qr/\[warn\].*may not publish "\Q$name\E": "permitlisten"/),
        1, "$name, refused by the relay");
}

# a port

like(get(8080, '/a'), qr/plain \/a$/, 'port');
is(line($relay), "$p0 lab ok 200", 'the relay knows the port');
is(line($reverse), '127.0.0.1:' . port(8090) . ' lab ok 200',
    'the reverse knows the destination');
is(line($entry), "$p0 lab ok 200", 'the entry knows the port');

# a name

like(tls('Git.dev.example', '/b'), qr/tls \/b$/, 'name');
is(line($relay, 2), 'git.dev.example lab ok 200', 'the relay knows the name');

# what nobody has

is(get(8081, '/'), undef, 'a port that is not published');
like(line($entry, 3), qr/^$p1 lab not published 50\d$/, 'its status');

is(tls('nobody.example', '/'), undef, 'an unknown name');
is(tls('bad.example', '/'), undef, 'an invalid name');
is(tls('port.example', '/'), undef, 'no name leads to a port');
wait_log($entry, qr/the name of the service is invalid/, count => 2);
pass('with a reason');

# the allowed destination is no other's

is(count_log($relay, qr/nobody publishes "nobody\.example"/), 1,
    'unknown, said by the relay');


# the answer, or undef after a reset

sub get {
    my ($port, $uri) = @_;

    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => '127.0.0.1:' . port($port),
    ) or die "can't connect: $!\n";

    return answer($s, $uri);
}


sub tls {
    my ($name, $uri) = @_;

    my $s = IO::Socket::SSL->new(
        PeerAddr => '127.0.0.1:' . port(8443),
        SSL_hostname => $name,
        SSL_verify_mode => SSL_VERIFY_NONE,
    ) or return;

    return answer($s, $uri);
}


sub answer {
    my ($s, $uri) = @_;
    my $reply = http("GET $uri HTTP/1.0\r\nHost: a\r\n\r\n", socket => $s);
    return length $reply ? $reply : undef;
}


sub line {
    my ($t, $count) = @_;

    wait_log($t, qr/./, file => 'stream.log', count => $count || 1);
    return (split /\n/, $t->read_file('stream.log'))[($count || 1) - 1];
}
