#!/usr/bin/perl

# Tests for the three forms of a private key.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8080);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream pkcs8 {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key pkcs8;
        trp_entry_name pkcs8;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream openssh {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key openssh;
        trp_entry_name openssh;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream raw {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key raw;
        trp_entry_name raw;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:1;
        proxy_pass pkcs8;
    }

    server {
        trp_route %%PORT_8082%%:2;
        proxy_pass openssh;
    }

    server {
        trp_route %%PORT_8083%%:3;
        proxy_pass raw;
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

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        return "$trp_destination";
    }
}

EOC

trp_cert($relay, $entry, $reverse);

my $dir = $entry->testdir();
my @lines = (trp_keys($entry, 'pkcs8', 'other'), trp_keys($reverse, 'reverse'));

# 64 bytes: the seed, which ends the DER form, and the public key

my $der = qx{openssl pkey -in $dir/other -outform DER};
my $public = qx{openssl pkey -in $dir/other -pubout -outform DER};

$entry->write_file('raw', substr($der, -32) . substr($public, -32));
chmod 0600, "$dir/raw";

# what ssh-keygen writes, where there is none the PEM form

my $has_ssh = system("ssh-keygen -q -t ed25519 -N '' -C 'a comment' "
    . "-f $dir/openssh 2>/dev/null") == 0;

push @lines, $has_ssh ? $entry->read_file('openssh.pub')
    : trp_keys($entry, 'openssh');

$relay->write_file('authorized_keys', join "\n", @lines, '');

$relay->run();
$reverse->run();
$entry->run()->plan(8 + 4);

like($entry->read_file('pkcs8'), qr/BEGIN PRIVATE KEY/, 'PKCS#8');
is(-s "$dir/raw", 64, 'raw');

is(stream('127.0.0.1:' . port(8081))->read(), '127.0.0.1:1', 'PKCS#8 works');
is(stream('127.0.0.1:' . port(8083))->read(), '127.0.0.1:3', 'raw works');

SKIP: {
    skip 'no ssh-keygen', 3 if !$has_ssh;

    like($entry->read_file('openssh'), qr/BEGIN OPENSSH PRIVATE/, 'OpenSSH');
    is(stream('127.0.0.1:' . port(8082))->read(), '127.0.0.1:2',
        'OpenSSH works');
    ok(wait_log($relay, qr/entry "openssh" \(a comment\) has a tunnel/),
        'comment in the log');
}

# a key that is not there

$relay->write_file('authorized_keys', "$lines[2]\n");
reload_and_wait($relay);

ok(wait_log($relay,
    qr/"raw" for group "0" is not authorized: key is not in the authorized/),
    'key is gone');
