#!/usr/bin/perl

# Tests for the way through relay, entry and reverse: routes, variables,
# one line in each access log.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my %lines;

my $format = 'log_format trp "$trp_destination $trp_destination_host '
    . '$trp_destination_port $trp_group $trp_name $trp_status $status '
    . '$remote_addr $bytes_received $bytes_sent";';

$relay->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    $format
    access_log %%TESTDIR%%/stream.log trp;

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

    $format
    access_log %%TESTDIR%%/stream.log trp;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_group lab;
        trp_entry_name front;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:127.0.0.1:8091 bind=127.0.0.1;
        trp_route %%PORT_8082%%:localhost:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:%%PORT_8099%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
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

    $format
    access_log %%TESTDIR%%/stream.log trp;

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_group lab;
        trp_reverse_name back;
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
            return 200 "first \$uri";
        }
    }

    server {
        listen 127.0.0.1:8091;
        location / {
            return 200 "second \$uri";
        }
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

$relay->run();
$reverse->run();
$entry->run()->plan(16 + 2 * 2);

# a request and its answer, in each of the three ways to write a route

my ($p0, $p1, $p3) = map { port($_) } 8090, 8091, 8099;

my $reply = get(8080, '/a');
like($reply, qr/^HTTP.*\r\n\r\nfirst \/a$/s, 'port:port');
check_logs('ok 200', "127.0.0.1:$p0 127.0.0.1 $p0",
    length(request('/a')) . ' ' . length $reply);

$reply = get(8081, '/b');
like($reply, qr/second \/b$/, 'port:ip:port');
check_logs('ok 200', "127.0.0.1:$p1 127.0.0.1 $p1",
    length(request('/b')) . ' ' . length $reply);

$reply = get(8082, '/c');
like($reply, qr/first \/c$/, 'port:name:port');
check_logs('ok 200', "localhost:$p0 localhost $p0",
    length(request('/c')) . ' ' . length $reply, "127.0.0.1:$p0 localhost $p0");

# nobody listens: the reverse reads nothing, the others may have read a part

is(get(8083, '/'), '', 'refused');
check_logs('refused 502', "127.0.0.1:$p3 127.0.0.1 $p3", qr/\d+ 0/);


sub request {
    my ($uri) = @_;
    return "GET $uri HTTP/1.0\r\nHost: localhost\r\n\r\n";
}


# from an address that is nobody's here

sub get {
    my ($port, $uri) = @_;

    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        LocalAddr => '127.0.0.2',
        PeerAddr => '127.0.0.1:' . port($port),
    ) or die "can't connect: $!\n";

    my $reply = http(request($uri), socket => $s);
    return defined $reply ? $reply : '';
}


# one more line in each log: like this

sub check_logs {
    my ($status, $destination, $bytes, $resolved) = @_;
    my $end = qr/\Q$status\E 127\.0\.0\.2 $bytes/;

    $resolved = $destination if !defined $resolved;

    like(next_line($entry), qr/^\Q$destination\E lab front $end$/, 'entry');
    like(next_line($relay), qr/^\Q$destination\E lab front $end$/, 'relay');
    like(next_line($reverse), qr/^\Q$resolved\E lab back $end$/, 'reverse');
}


sub next_line {
    my ($t) = @_;
    my $count = ++$lines{$t};

    wait_log($t, qr/./, file => 'stream.log', count => $count);

    my @lines = split /\n/, $t->read_file('stream.log');
    return @lines == $count ? $lines[-1] : 'lines: ' . @lines;
}
