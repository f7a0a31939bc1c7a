#!/usr/bin/perl

# Tests for ssh and scp, with an sshd of their own.

use strict;
use warnings;

use Test::More;

use File::Copy qw/ copy /;
use POSIX ();

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

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

my ($sshd) = grep { -x } map { "$_/sshd" } split(/:/, $ENV{PATH}),
    qw! /usr/sbin /usr/local/sbin !;

plan(skip_all => 'no sshd') if !$sshd;
$relay->has_daemon($_) for qw/ ssh scp ssh-keygen /;

my $home = $reverse->testdir();
my $dir = $entry->testdir();
my $data = noise(3_000_000);

$reverse->write_file('file', $data);
start_sshd();

$relay->run();
$reverse->run();
$entry->run()->plan(5 + 2 * 2);

my @options = ('-q', '-F', '/dev/null', '-i', "$dir/user",
    map { ('-o', $_) } 'StrictHostKeyChecking=no', 'BatchMode=yes',
    'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes');
my $user = getpwuid($<) . '@127.0.0.1';
my @ssh = ('ssh', @options, '-p', port(8080), $user);

is(run(@ssh, 'echo SEE THIS'), "SEE THIS\n", 'ssh');
is(run(@ssh, 'wc -c', '<', "$home/file"), "3000000\n", 'ssh with input');
ok(run(@ssh, "cat $home/file") eq $data, 'ssh with output');

my @scp = ('scp', @options, '-P', port(8080));

run(@scp, "$user:$home/file", "$dir/down");
ok($entry->read_file('down') eq $data, 'scp');

run(@scp, "$dir/down", "$user:$home/up");
ok($reverse->read_file('up') eq $data, 'scp to there');

# the one that sshd wants was not there

END { rmdir '/run/sshd' if $main::made; }


# the output of a program; '<' and a file may be the last arguments

sub run {
    my @command = @_;
    my $input = '/dev/null';

    (undef, $input) = splice @command, -2 if ($command[-2] || '') eq '<';

    my $pid = open my $fh, '-|';
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDIN, '<', $input;
        exec @command or POSIX::_exit(127);
    }

    local $/;
    my $output = <$fh>;
    return defined $output ? $output : '';
}


sub start_sshd {
    for my $file ("$home/host", "$dir/user") {
        run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', $file);
    }

    copy("$dir/user.pub", "$home/user_keys");

    our $made = mkdir '/run/sshd', 0755 if $< == 0 && !-e '/run/sshd';

    $reverse->write_file('sshd_config', join "\n", (
        'Port ' . port(8081), 'ListenAddress 127.0.0.1',
        "HostKey $home/host", "PidFile $home/sshd.pid",
        "AuthorizedKeysFile $home/user_keys", 'StrictModes no',
        'UsePAM no', 'PasswordAuthentication no', 'PermitRootLogin yes',
        'Subsystem sftp internal-sftp', ''));

    $reverse->run_daemon($sshd, '-D', '-f', "$home/sshd_config",
        '-E', "$home/sshd.log");
    $reverse->waitforsocket('127.0.0.1:' . port(8081));
}
