#!/usr/bin/perl

# A SOCKS5 client whose proxy_timeout is over before the destination has
# answered: the reply is a failure, as nobody has accepted.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $entry = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_timeout 1s;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($relay, 'reverse'));

$relay->run();
$entry->run()->plan(4 + 2);

# a reverse that takes OPEN, and never answers

for my $early ('', 'GET / HTTP/1.0') {
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $agent->login(key => $relay->testdir() . '/reverse',
        role => 'reverse', name => 'reverse' . length $early);
    die "no tunnel\n" if !$ready || $ready->{type} ne 'READY';

    my $c = socks(port(8080), '127.0.0.1:80', stop => 'auth');
    $c->write(socks_request('127.0.0.1:80') . $early);

    is($c->reply() . " $c->{end}", '1 eof', 'reply, early: ' . length $early);
    $agent->close();
}

ok(wait_log($entry, qr/^aborted 200$/, count => 2, file => 'access.log'),
    'access log');
is(count_log($entry, qr/\[alert\]/), 0, 'no alerts');
