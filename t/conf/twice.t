#!/usr/bin/perl

# Tests for an nginx that is started twice and has no port which would be taken,
# or one with "reuseport": the second start says so.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use POSIX ();

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8433;
    }

    # SERVER
}

EOC

my %servers = (
    trp_reverse => <<'EOC',
    server {
        trp_reverse relay;
        trp_reverse_key auth;
        trp_reverse_ssl_verify off;
        return ok;
    }
EOC
    trp_turn => <<'EOC',
    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        trp_turn;
    }
EOC
    trp_relay => <<'EOC',
    server {
        listen 127.0.0.1:8433 ssl reuseport;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC
);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'auth') . "\n");

my @names = sort keys %servers;

$t->write_file_expand('nginx.conf',
    $conf =~ s/# SERVER\n/join '', map { $servers{$_} } @names/er);
$t->run()->plan(2 * @names + 4);

my $pid = $t->read_file('nginx.pid');
chomp $pid;

my $re = qr/\[warn\] .*process $pid of pid file "\S+" is running, /;

is(count_log($t, qr/of pid file/), 0, 'the first one');
unlike(nginx_test($t), qr/of pid file/, 'nginx -t');
reload_and_wait($t);
is(count_log($t, qr/of pid file/), 0, 'a reload');

my $second = start($t);

for my $name (@names) {
    ok(wait_log($t, qr/$re"$name" is there twice if that is the same/),
        "$name: a line");
    is(count_log($t, qr/$re"$name"/), 1, "$name: one");
}

stop($second);

# a process that is gone

$t->write_file('nginx.pid', "$second\n");
my $third = start($t);
wait_for(sub { $t->read_file('nginx.pid') eq "$third\n" });
is(count_log($t, qr/process $second of pid file/), 0, 'gone');
stop($third);

$t->write_file('nginx.pid', "$pid\n");


sub start {
    my ($t) = @_;

    my $child = fork();
    die "can't fork: $!\n" if !defined $child;

    if ($child == 0) {
        open STDERR, '>', '/dev/null';
        exec $Test::Nginx::NGINX, '-p', $t->testdir() . '/', '-c',
            'nginx.conf', '-e', 'error.log' or POSIX::_exit(127);
    }

    return $child;
}


sub stop {
    my ($child) = @_;

    # not before it handles signals

    wait_for(sub { nginx_pid($t) == $child });
    kill 'TERM', $child;
    waitpid $child, 0;
}
