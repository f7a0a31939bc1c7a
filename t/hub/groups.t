#!/usr/bin/perl

# Tests for one port for the hosts of many agents at a relay that is its own
# entry: "trp_entry_group" with variables, by ssl_preread and map.

use strict;
use warnings;

use Test::More;

use IO::Socket::SSL;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map
    stream_ssl_preread /);
my $reverse = Test::Nginx->new();

$hub->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$ssl_preread_server_name $trp_group $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    map $ssl_preread_server_name $agent {
        git.example.com  git;
        web.example.com  web;
        bad.example.com  "no name";
    }

    upstream agents {
        trp_entry local;
        trp_entry_group $agent;
    }

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;
        trp_relay;
        trp_authorized_keys authorized_keys;
        access_log off;
    }

    server {
        trp_route %%PORT_8080%%:443 bind=127.0.0.1;
        ssl_preread on;
        proxy_half_close on;
        proxy_pass agents;
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

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    upstream relay {
        server 127.0.0.1:%%PORT_8443%%;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    server {
        trp_reverse relay;
        trp_reverse_group git;
        proxy_half_close on;
        proxy_pass 127.0.0.1:%%PORT_8091%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_group web;
        proxy_half_close on;
        proxy_pass 127.0.0.1:%%PORT_8092%%;
    }

    server {
        listen 127.0.0.1:%%PORT_8091%% ssl;
        return "git $ssl_server_name\n";
    }

    server {
        listen 127.0.0.1:%%PORT_8092%% ssl;
        return "web $ssl_server_name\n";
    }
}

EOC

trp_cert($hub, $reverse);
$reverse->write_file('localhost.key', $hub->read_file('localhost.key'));
$hub->write_file('authorized_keys', trp_keys($reverse, 'reverse'));

$hub->run();
$reverse->run()->plan(7 + 2);

ok(wait_log($hub, qr/ reverse .* has a tunnel in group /, count => 8),
    'reverses');

is(join('', map { says('git.example.com') } 1 .. 8),
    "git git.example.com\n" x 8, 'one group');
is(join('', map { says('web.example.com') } 1 .. 8),
    "web web.example.com\n" x 8, 'another');

is(says('other.example.com'), 'refused', 'unknown name');
is(says('bad.example.com'), 'refused', 'no valid name of a group');

ok(wait_log($hub, qr/^other\.example\.com  not allowed 403$/,
    file => 'access.log'), 'status');
ok(wait_log($hub, qr/\[info\].* refused: invalid group "no name", destination/),
    'one line');


sub says {
    my ($name) = @_;

    my $s = IO::Socket::SSL->new(
        PeerAddr => '127.0.0.1',
        PeerPort => port(8080),
        SSL_hostname => $name,
        SSL_verify_mode => 0,
        Timeout => 30,
    ) or return 'refused';

    return scalar <$s>;
}
