#!/usr/bin/perl

# Tests for unix sockets: as destinations at the reverse, and as addresses that
# a route listens on.

use strict;
use warnings;

use Test::More;

use IO::Socket::UNIX;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map unix /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my $there = $reverse->testdir();
my $here = $entry->testdir();

relay_conf($relay, 8080);

$entry->write_file_expand('nginx.conf', <<'EOC' =~ s/THERE/$there/gr);

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$server_port $trp_destination $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    map $server_port $name {
        default web;
    }

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream limited {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key limited;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:unix:THERE/web.sock bind=127.0.0.1;
        trp_route %%PORT_8082%%:unix:THERE/other bind=127.0.0.1;
        trp_route %%PORT_8083%%:unix:THERE/missing.sock bind=127.0.0.1;
        trp_route %%PORT_8084%%:unix:THERE/$name.sock bind=127.0.0.1;
        trp_route %%PORT_8085%%:unix:THERE/../$name.sock bind=127.0.0.1;
        trp_route unix:%%TESTDIR%%/to_unix.sock:unix:THERE/web.sock;
        trp_route unix:%%TESTDIR%%/to_port.sock:%%PORT_8090%%;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8086%%:unix:THERE/web.sock bind=127.0.0.1;
        trp_route %%PORT_8087%%:unix:THERE/allowed.sock bind=127.0.0.1;
        proxy_pass limited;
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

    log_format trp "$remote_addr $trp_destination $upstream_addr $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow all unix:%%TESTDIR%%/*.sock;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }

    server {
        listen unix:%%TESTDIR%%/allowed.sock;
        access_log off;
        return allowed;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

my $limited = trp_keys($entry, 'limited');

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'),
    "permitopen=\"*:*,unix:$there/allowed.sock\" $limited", '');

serve($reverse, port(8090), 'echo', digest => 0);
serve_on($reverse, IO::Socket::UNIX->new(Local => "$there/web.sock",
    Listen => 128), 'echo', digest => 0);

$relay->run();
$reverse->run();
$entry->run()->plan(19 + 4);

is(echo(port(8081)), 'hello', 'to a unix socket');
is(echo(port(8084)), 'hello', 'whose path has a variable');
is(end(port(8082)), 'reset', 'not allowed by "all"');
is(end(port(8083)), 'reset', 'there is none');
is(end(port(8085)), 'reset', 'a path that climbs');

my $big = noise_of(3_000_000);
ok(echo(port(8081), $big) eq $big, 'a transfer, both ways');

is(echo("$here/to_unix.sock"), 'hello', 'from a unix socket to another');
is(echo("$here/to_port.sock"), 'hello', 'from a unix socket to a port');

is(end(port(8086)), 'reset', 'not by "permitopen", which has all hosts');
is(end(port(8087)), 'allowed', 'by "permitopen"');

# the logs

ok(wait_log($entry, qr/^${\port(8081)} unix:\Q$there\E\/web.sock ok$/,
    file => 'access.log'), 'entry');
ok(wait_log($entry, qr/^${\port(8082)} \S+\/other not allowed$/,
    file => 'access.log'), 'entry: not allowed');
ok(wait_log($entry, qr/^${\port(8083)} \S+\/missing.sock refused$/,
    file => 'access.log'), 'entry: refused');
ok(wait_log($entry, qr/^${\port(8085)} \S+ no such host$/,
    file => 'access.log'), 'entry: no path');
ok(wait_log($reverse, qr!^127.0.0.1 (unix:\Q$there\E/web.sock) \1 ok$!,
    file => 'access.log'), 'reverse');
ok(wait_log($reverse, qr!^unix: (unix:\Q$there\E/web.sock) \1 ok$!,
    file => 'access.log'), 'reverse: from a unix socket');
is(count_log($reverse, qr/\[error\].*not allowed by "trp_reverse_allow"/), 1,
    'reverse: a line');
is(count_log($relay, qr!may not open "unix:\Q$there\E/web.sock" by "permito!),
    1, 'relay: a line');

# the socket is gone with its nginx

$entry->stop();
ok(!-e "$here/to_unix.sock", 'no socket is left');


sub echo {
    my ($at, $text) = @_;

    $text = 'hello' if !defined $text;

    my $s = at($at);
    my $pid = fork();

    if (!$pid) {
        $s->print($text);
        $s->shutdown(1);
        require POSIX;
        POSIX::_exit(0);
    }

    local $/;
    my $got = <$s>;
    waitpid $pid, 0;

    return $got;
}


sub end {
    my ($at) = @_;

    my $s = at($at);
    my $text = <$s>;

    return defined $text ? $text : $!{ECONNRESET} ? 'reset' : 'end';
}


sub at {
    my ($at) = @_;

    return $at =~ m!/! ? IO::Socket::UNIX->new(Peer => $at)
        : connect_to($at);
}


sub noise_of {
    my ($n) = @_;

    return join '', map { chr int rand 256 } 1 .. $n;
}
