#!/usr/bin/perl

# Tests for ssh and scp with SOCKS5 over a tunnel, by nc and by proxychains4.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;

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
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass relay;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry'),
    trp_keys($t, 'reverse'));

my $sshd = port(8022);
my $ssh = sshd($t, $sshd) or plan(skip_all => 'no sshd');

$t->has_daemon('scp');

my ($dir, $proxy) = ($t->testdir(), port(8080));
my $data = noise(3_000_000);

$t->write_file('file', $data);
$t->run()->plan(6);

SKIP: {
    skip 'no nc that knows SOCKS5', 4
        if output({ err => 1 }, 'nc', '-h') !~ /^\s*-X proto/m;

    my @options = (@{$ssh->{options}}, '-o',
        "ProxyCommand=nc -X 5 -x 127.0.0.1:$proxy %h %p");

    is(output('ssh', @options, '-p', $sshd, $ssh->{user}, 'echo SEE THIS'),
        "SEE THIS\n", 'ssh');
    is(output({ in => "$dir/file" }, 'ssh', @options, '-p', $sshd,
        $ssh->{user}, 'wc -c'), "3000000\n", 'ssh with input');

    output('scp', @options, '-P', $sshd, "$ssh->{user}:$dir/file",
        "$dir/down");
    ok($t->read_file('down') eq $data, 'scp');

    output('scp', @options, '-P', $sshd, "$dir/down", "$ssh->{user}:$dir/up");
    ok($t->read_file('up') eq $data, 'scp to there');
}

SKIP: {
    skip 'no proxychains4', 2 if !executable('proxychains4');

    my @chain = proxychains($t, "socks5 127.0.0.1 $proxy");

    is(output(@chain, 'ssh', @{$ssh->{options}}, '-p', $sshd, $ssh->{user},
        'echo SEE THIS'), "SEE THIS\n", 'ssh by proxychains4');
    ok(output(@chain, 'ssh', @{$ssh->{options}}, '-p', $sshd, $ssh->{user},
        "cat $dir/file") eq $data, 'ssh by proxychains4 with output');
}
