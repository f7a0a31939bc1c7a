#!/usr/bin/perl

# DNS over routes: dig asks unbound by UDP and by TCP, on one port.

use strict;
use warnings;

use POSIX ();
use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs qw/ executable output /;

for (qw/ dig unbound /) {
    plan(skip_all => "$_ not found") if !executable($_);
}

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);
reverse_conf($reverse, 8443);

# the test holds TCP ports of 127.0.0.1 as locks for those of UDP

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:127.0.0.2:%%PORT_8990_UDP%% bind=127.0.0.2;
        trp_route %%PORT_8980_UDP%%:127.0.0.2:%%PORT_8990_UDP%% bind=127.0.0.2
                  udp;
        proxy_responses 1;
        proxy_timeout 5s;
        proxy_pass relay;
    }
}

EOC

my $dir = $reverse->testdir();
my $port = port(8990, udp => 1);
my $large = join "\n", map { qq{local-data: 'large.test. TXT "}
    . chr(97 + $_ % 26) x 200 . qq{ $_"'} } 1 .. 20;

$reverse->write_file('unbound.conf', <<"EOC");
server:
    interface: 127.0.0.2\@$port
    port: $port
    directory: "$dir"
    pidfile: "$dir/unbound.pid"
    chroot: ""
    username: ""
    use-syslog: no
    logfile: "$dir/unbound.log"
    do-daemonize: no
    do-ip6: no
    edns-buffer-size: 8192
    max-udp-size: 8192
    access-control: 127.0.0.0/8 allow
    local-zone: "test." static
    local-data: "www.test. A 192.0.2.80"
    $large
remote-control:
    control-enable: no
EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

$reverse->run_daemon('unbound', '-d', '-c', "$dir/unbound.conf");
$reverse->waitforsocket("127.0.0.2:$port") or die "no unbound\n";

$relay->run();
$reverse->run();
$entry->run()->plan(10 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;

is(dig('www.test', 'A', '+notcp'), '192.0.2.80', 'UDP');
is(dig('www.test', 'A', '+tcp'), '192.0.2.80', 'TCP');
like(ask('none.test', 'A', '+notcp'), qr/NXDOMAIN/, 'no such name');

my @lines = split /\n/, dig('large.test', 'TXT', '+bufsize=8192', '+ignore');
is(scalar(@lines), 20, 'a large answer');

like(ask('large.test', 'TXT', '+bufsize=512', '+ignore'),
    qr/flags:[^;]* tc/, 'truncated for a small buffer');
@lines = split /\n/, dig('large.test', 'TXT', '+bufsize=512');
is(scalar(@lines), 20, 'asked again by TCP');

# many at once

my @pids = map {
    my $n = $_;
    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if (!$pid) {
        POSIX::_exit(dig('www.test', 'A', '+notcp') eq '192.0.2.80' ? 0 : 1);
    }

    $pid;
} 1 .. 20;

my $failed = grep { waitpid $_, 0; $? } @pids;
is($failed, 0, 'many at once');

# a reload in between

$entry->reload();
$reverse->reload();
is(scalar(grep { dig('www.test', 'A', '+notcp') ne '192.0.2.80' } 1 .. 20), 0,
    'reload');

ok(wait_log($entry, qr/^UDP 200 ok$/, file => 'access.log', count => 40),
    'sessions end with the answer');
is(count_log($entry, qr/^UDP (?!200 ok$)/, file => 'access.log'), 0,
    'and no others');


sub dig {
    my $text = ask('+short', @_);
    chomp $text;

    return $text;
}


sub ask {
    return output('dig', '@127.0.0.2', '-p', port(8980, udp => 1), '+tries=2',
        '+time=5', @_);
}
