#!/usr/bin/perl

# Tests for unspecified addresses as destinations: they lead to this host, so
# all rules take them for loopback addresses.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream all {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    # may open what is around loopback

    upstream around {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_key around;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    # may open loopback only

    upstream loopback {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_key loopback;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        trp_socks5_deny 127.0.0.0/8 [::1];
        proxy_pass all;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        trp_socks5_allow 0.0.0.0/2 ::/128;
        proxy_pass all;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        proxy_pass around;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        trp_socks5_allow 127.0.0.1 ::1;
        proxy_pass loopback;
    }

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow all;
        return "$trp_destination";
    }
}

EOC

trp_cert($t);

my %keys = map { $_ => scalar trp_keys($t, $_) }
    qw/ entry around loopback reverse /;

$t->write_file('authorized_keys', <<"EOC");
$keys{entry}
permitopen="0.0.0.0/2:*,[::]:*" $keys{around}
permitopen="127.0.0.1:*,[::1]:*" $keys{loopback}
$keys{reverse}
EOC

$t->run()->plan(12);

my %servers = (
    8080 => [ 'denied by trp_socks5_deny', 2 ],
    8081 => [ 'not in trp_socks5_allow', 2 ],
    8082 => [ 'not in permitopen', 2 ],
    8083 => [ 'allowed as loopback', 0 ],
);

for my $server (sort keys %servers) {
    my ($name, $rep) = @{$servers{$server}};

    is(socks(port($server), "$_:80")->rep(), $rep, "$_ $name")
        for '0.0.0.0', '[::]', '[::ffff:0.0.0.0]';
}
