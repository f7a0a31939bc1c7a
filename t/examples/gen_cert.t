#!/usr/bin/perl

# Tests for trp-gen-cert.

use strict;
use warnings;

use Test::More;

use File::Temp qw/ tempdir /;
use MIME::Base64 qw/ decode_base64 /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

my $tool = '../../examples/bin/trp-gen-cert';
my $dir = tempdir(CLEANUP => 1);

plan(skip_all => 'openssl not found') if !qx/openssl version/;
plan(tests => 34);

# x509

like(run("x509 --dns a.example,b.example --ip 192.0.2.1,::1 -o $dir/x"),
    qr/^0 .*DNS:a\.example,DNS:b\.example,IP:192\.0\.2\.1,IP:::1$/m, 'x509');

my $text = qx{openssl x509 -in $dir/x/server.crt -noout -text};
like($text, qr/DNS:a\.example, DNS:b\.example/, 'names');
like($text, qr/IP Address:192\.0\.2\.1, IP Address:0:0:0:0:0:0:0:1/,
    'addresses');
like($text, qr/Subject: CN ?= ?a\.example$/m, 'common name');
like($text, qr/prime256v1/, 'curve');
unlike($text, qr/CA:TRUE/, 'not an authority');

is(status("openssl verify -CAfile $dir/x/server.crt -verify_hostname "
    . "b.example -purpose sslserver $dir/x/server.crt"), 0, 'verify name');
is(status("openssl verify -CAfile $dir/x/server.crt -verify_ip ::1 "
    . "$dir/x/server.crt"), 0, 'verify address');
isnt(status("openssl verify -CAfile $dir/x/server.crt -verify_hostname "
    . "c.example $dir/x/server.crt"), 0, 'verify another name');

is(status("openssl x509 -in $dir/x/server.crt -noout -checkend "
    . 9.9 * 365 * 86400), 0, 'valid for years');
is(qx{openssl pkey -in $dir/x/server.key -pubout},
    qx{openssl x509 -in $dir/x/server.crt -noout -pubkey}, 'key');
is(mode("$dir/x/server.key"), 0600, 'mode of the key');
is(mode("$dir/x/server.crt"), 0644, 'mode of the certificate');

my $before = slurp("$dir/x/server.key");
like(run("x509 --dns c.example -o $dir/x"), qr/^1 .*exists, not overwr/,
    'no overwriting');
is(slurp("$dir/x/server.key"), $before, 'not overwritten');

unlink "$dir/x/server.crt";
like(run("x509 --dns c.example -o $dir/x"), qr/^1 .*server\.key exists/,
    'no overwriting of the key alone');
ok(!-e "$dir/x/server.crt", 'no half of a pair');

# ed25519

my $line = run("ed25519 -C 'me and you' -o $dir/e");
like($line, qr/^0 ssh-ed25519 [\w+\/]{68} me and you$/, 'line');
is($line, '0 ' . slurp("$dir/e/auth.pub"), 'the same in the file');

like(slurp("$dir/e/auth"), qr/^-----BEGIN PRIVATE KEY-----\n/, 'pkcs8');
is(mode("$dir/e/auth"), 0600, 'mode of the private key');

my ($blob) = map { decode_base64((split / /, $_)[2]) } $line;
my ($type, $key) = unpack 'N/a N/a', $blob;
my $der = qx{openssl pkey -in $dir/e/auth -pubout -outform DER};
is($type, 'ssh-ed25519', 'type');
is($key, substr($der, -32), 'public key');
is(length $key, 32, 'length');

like(run("ed25519 -o $dir/e"), qr/^1 .*auth exists/, 'no other key there');
is('0 ' . slurp("$dir/e/auth.pub"), $line, 'still the same key');

SKIP: {
    my $keygen = qx{ssh-keygen -l -f $dir/e/auth.pub 2>/dev/null};
    skip 'no ssh-keygen', 1 if !$keygen;
    like($keygen, qr/ED25519/, 'OpenSSH reads it');
}

# usage

like(run('--help'), qr/^0 usage:/, 'help');
like(run(''), qr/^2 usage:/, 'no command');
like(run('rsa'), qr/^2 .*unknown command "rsa"/, 'unknown command');
like(run("x509 -o $dir/n"), qr/^2 .*needs --dns or --ip/, 'no names');
like(run('x509 --dns'), qr/^2 .*"--dns" needs a value/, 'no value');
like(run("x509 --dns 'a b' -o $dir/n"), qr/^2 .*invalid name "a b"/,
    'invalid name');
ok(!-e "$dir/n", 'nothing made after misuse');


# the status and all output

sub run {
    my ($args) = @_;
    my $output = qx{$tool $args 2>&1};
    return ($? >> 8) . " $output";
}


sub status {
    my ($command) = @_;
    return system("$command > /dev/null 2>&1");
}


sub mode {
    my ($file) = @_;
    return (stat $file)[2] & 0777;
}


sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar <$fh>;
}
