#!/usr/bin/perl

# Tests for the test library itself, with the stock stream modules only.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, 'lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;

my $front = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return /);
my $back = Test::Nginx->new();

$front->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    server {
        listen 127.0.0.1:8080;
        proxy_pass 127.0.0.1:8081;
    }

    server {
        listen 127.0.0.1:8090 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        return "$ssl_protocol";
    }
}

EOC

$back->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format bytes "$bytes_received $status";
    access_log %%TESTDIR%%/stream.log bytes;

    server {
        listen 127.0.0.1:8081;
        proxy_half_close on;
        proxy_pass 127.0.0.1:8082;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        return "generation 1";
    }
}

EOC

trp_cert($front, $back);
my @keys = trp_keys($back, 'entry', 'reverse');

serve($back, port(8082), 'echo', record => 'echo.log');
serve($back, port(8084), 'hello', data => "220 ready\n");
serve($back, port(8085), 'reset', after => 3);
serve($back, port(8086), 'discard');
serve($back, port(8087), 'sink');
serve($back, port(8088), 'half', data => 'bye', record => 'half.log');

$back->run();
$front->run()->plan(30 + 2);

# keys

is(grep({ /^ssh-ed25519 [\w+\/]{68} (?:entry|reverse)$/ } @keys), 2, 'keys');
is((stat $back->testdir() . '/entry')[2] & 0777, 0600, 'mode of a key');
ok(-s $back->testdir() . '/localhost.crt', 'copy of the certificate');
ok(!-e $back->testdir() . '/localhost.key', 'no copy of its key');

# clients

is(stream('127.0.0.1:' . port(8083))->io(''), 'generation 1', 'port');

my $s = stream('127.0.0.1:' . port(8080));
is($s->io('SEE', length => 3), 'SEE', 'two objects');
is($s->io('THIS', read => 1), 'THIS', 'the same connection');
is($s->sockport(), $s->socket()->sockport(), 'port of a client');
undef $s;

ok(wait_log($back, qr/^7 200$/, file => 'stream.log'), 'access log');
is(count_log($back, qr/^7 200$/, file => 'stream.log'), 1, 'one line');

SKIP: {
    skip 'no IO::Socket::SSL', 1 if !$front->has_feature('socket_ssl');

    $s = stream(PeerAddr => '127.0.0.1:' . port(8090), SSL => 1);
    like($s->read(), qr/^TLSv1\.[23]$/, 'tls');
}

# transfer

my $size = 3_000_000;
my $result = transfer(stream('127.0.0.1:' . port(8080)), $size);

is($result->{received}, $size, 'bytes');
is($result->{received_sha}, $result->{sent_sha}, 'digest');
is($result->{tail}, "$size $result->{sent_sha}\n", 'digest of the server');
is($result->{end}, 'eof', 'end');

ok(wait_log($back, qr/^$size .* eof$/, file => 'echo.log'), 'record');
like((served($back, 'echo.log'))[0], qr/^7 [0-9a-f]{64} eof$/, 'served');

$result = transfer(stream('127.0.0.1:' . port(8080)), 10, fin => 0);
is("$result->{received} $result->{end}", '10 open', 'without FIN');

# servers

$s = stream('127.0.0.1:' . port(8084));
is($s->read(), "220 ready\n", 'hello');
is($s->io('SEE', length => 3), 'SEE', 'echo after hello');

$s = client(8085);
syswrite $s, 'SEE';
is(end_of($s), 'reset', 'reset');
is(reset_of(client(8083)), 0, 'no reset');

$result = transfer(client(8086), 100_000);
is("$result->{sent} $result->{end}", '100000 eof', 'sent all');
is($result->{received}, length "100000 $result->{sent_sha}\n", 'discard');

is(end_of(client(8087), 0.1), 'timeout', 'sink');

$s = client(8088);
is(end_of($s), 'eof', 'half-closed');
syswrite $s, 'SEE';
abort($s);
ok(wait_log($back, qr/^3 .* reset$/, file => 'half.log'), 'abort');

# processes

my @workers = worker_pids($front);
is(@workers, 2, 'workers');
ok(fd_count(@workers) > 4 && private_memory(@workers) > 100, 'resources');

$back->write_file('nginx.conf',
    $back->read_file('nginx.conf') =~ s/generation 1/generation 2/r);

reload_and_wait($back);
is(stream('127.0.0.1:' . port(8083))->read(), 'generation 2', 'reload');


sub client {
    my ($port) = @_;
    return IO::Socket::INET->new('127.0.0.1:' . port($port));
}
