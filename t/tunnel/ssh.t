#!/usr/bin/perl

# Tests for ssh and scp, with an sshd of their own.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs qw/ output sshd /;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

$relay->has_daemon('scp');

my $ssh = sshd($reverse, port(8081));
plan(skip_all => 'no sshd') if !$ssh;

my $home = $reverse->testdir();
my $dir = $entry->testdir();
my $data = noise(3_000_000);

$reverse->write_file('file', $data);

$relay->run();
$reverse->run();
$entry->run()->plan(5 + 2 * 2);

my @ssh = ('ssh', @{$ssh->{options}}, '-p', port(8080), $ssh->{user});

is(output(@ssh, 'echo SEE THIS'), "SEE THIS\n", 'ssh');
is(output({ in => "$home/file" }, @ssh, 'wc -c'), "3000000\n",
    'ssh with input');
ok(output(@ssh, "cat $home/file") eq $data, 'ssh with output');

my @scp = ('scp', @{$ssh->{options}}, '-P', port(8080));

output(@scp, "$ssh->{user}:$home/file", "$dir/down");
ok($entry->read_file('down') eq $data, 'scp');

output(@scp, "$dir/down", "$ssh->{user}:$home/up");
ok($reverse->read_file('up') eq $data, 'scp to there');
