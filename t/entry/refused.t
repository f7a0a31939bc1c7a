#!/usr/bin/perl

# Tests for users whom the entry refuses before there is a stream: they see a
# reset.  A clean end would look like an answer that is complete and empty.

use strict;
use warnings;

use Test::More;

use IO::Select;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $entry = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /)
    ->has(qw/ stream_access stream_limit_conn stream_return /);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format status "$server_port $status $trp_status";
    access_log %%TESTDIR%%/access.log status;

    limit_conn_zone $server_port zone=users:1m;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream down {
        server 127.0.0.1:8433 down;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream dead {
        server 127.0.0.1:8433;
    }

    server {
        trp_route 192.0.2.0/24:%%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        deny all;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        limit_conn users 1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass down;
    }

    server {
        trp_route %%PORT_8084%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass dead;
    }

    server {
        trp_route %%PORT_8085%%:%%PORT_8090%% bind=127.0.0.1 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;
        proxy_pass down;
    }

    server {
        listen 127.0.0.1:8086;
        trp_socks5;
        deny all;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8087;
        trp_socks5;
        limit_conn users 1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8088%%:%%PORT_8090%% bind=127.0.0.1;
        return "all of it";
    }

    server {
        listen 127.0.0.1:8089;
        return "all of it";
    }
}

EOC

$entry->write_file_expand('nginx.conf', $conf);

trp_cert($entry);
trp_keys($entry, 'entry');

$entry->run()->plan(15);

is(end_of(connect_to(port(8080))), 'reset', 'source that the route denies');
is(end_of(connect_to(port(8081))), 'reset', 'deny');

my @users = map { connect_to(port(8082)) } 1 .. 2;
is(ends(@users), 'reset', 'limit_conn');

is(end_of(connect_to(port(8083))), 'reset', 'all relays are down');
is(end_of(connect_to(port(8084))), 'reset', 'no relay at all');

is(end_of(connect_to(port(8086))), 'reset', 'SOCKS5, deny');

my @clients = map { connect_to(port(8087)) } 1 .. 2;
is(ends(@clients), 'reset', 'SOCKS5, limit_conn');

# with TLS: no close_notify, or an alert if that is what there is to say

is(tls(8085), 'reset', 'TLS');
is(tls(8085, SSL_version => 'TLSv1_2'), 'alert', 'TLS version');

ok(wait_log($entry, qr/^${\port(8080)} 403 not allowed$/, file => 'access.log'),
    'access log');

# the end of what was served is one

is(join(' ', (drain(connect_to(port(8088))))[0, 2]), '9 eof', 'served');
is(join(' ', (drain(connect_to(port(8089))))[0, 2]), '9 eof', 'other server');

# and so is that of a server that is no entry any more

$conf =~ s/trp_route .*PORT_8081.*/listen 127.0.0.1:8081;/;
$conf =~ s/deny all;\n *proxy_pass relay;/return "all of it";/;

$entry->write_file_expand('nginx.conf', $conf);
reload_and_wait($entry);

is(join(' ', (drain(connect_to(port(8081))))[0, 2]), '9 eof', 'new server');
is(end_of(connect_to(port(8083))), 'reset', 'another one after the reload');
is(end_of(connect_to(port(8086))), 'reset', 'SOCKS5 after the reload');


# how those end that end first

sub ends {
    return join ' ', map { end_of($_) } IO::Select->new(@_)->can_read(30);
}


# "reset", "eof", or "alert" for a handshake that fails

sub tls {
    my ($port, @options) = @_;

    my $s = connect_to(port($port));

    IO::Socket::SSL->start_SSL($s, SSL_verify_mode => 0, @options)
        or return $IO::Socket::SSL::SSL_ERROR =~ /alert/ ? 'alert'
            : $IO::Socket::SSL::SSL_ERROR;

    my $n = sysread($s, my $data, 1);

    return defined $n ? 'eof' : 'reset';
}
