#!/usr/bin/perl

# Tests for answers with thousands of rows: they are whole whatever stands
# between the table and the client, and however slowly it reads; a worker does
# other things meanwhile, and keeps no memory.

use strict;
use warnings;

use Test::More;

use IO::Socket::INET;
use Socket qw/ AF_INET SOCK_STREAM SOL_SOCKET SO_RCVBUF inet_aton
    pack_sockaddr_in /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx qw/ :DEFAULT http_content /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::Rows;

use constant AGENTS => 3000;

my $t = Test::Nginx->new()->has(qw/ http http_gzip http_ssi http_sub /);

plan(skip_all => 'modules are not dynamic') if !rows_module($t);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

load_module %%TESTDIR%%/rows.so;
rows %%TESTDIR%%/rows 8m;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;
    client_header_timeout 30s;

    server {
        listen 127.0.0.1:8080 sndbuf=32k;
        listen 127.0.0.1:8081 http2;

        location /trp/ {
            trp_status;
        }

        location /gzip/ {
            trp_status;
            gzip on;
            gzip_types *;
        }

        location /limit/ {
            trp_status;
            limit_rate 4m;
        }

        location /large/ {
            trp_status;
            postpone_output 1m;
        }

        location /sub/ {
            trp_status;
            sub_filter office ministry;
            sub_filter_once off;
            sub_filter_types *;
        }

        location /timeout/ {
            trp_status;
            send_timeout 1s;
        }

        location = /ssi {
            ssi on;
            ssi_types *;
            alias %%TESTDIR%%/ssi;
        }

        location /other {
            return 200 "other\n";
        }
    }
}

EOC

$t->write_file('ssi', 'before <!--# include virtual="/trp/status.json" -->'
    . ' between <!--# include virtual="/trp/metrics" --> after');

rows($t, { kind => 'AGENT', keys => 4, times => AGENTS,
    texts => [ 'reverse', 'agent-#', 'office', 'KEY#', 'alice@laptop',
        '192.0.2.1:5000' ],
    gauges => { 0 => 4, 1 => 3, 2 => 1 },
    counters => { map { $_ => 1000000 * $_ } 0 .. 4 } });

$t->plan(28);
$t->run();

my $worker = wait_for(sub { (worker_pids($t))[0] });

whole('/trp/', 'chunked');
whole('/limit/', 'limit_rate');
whole('/large/', 'postpone_output');

my $text = http_get('/sub/status.json');
is(() = http_content($text) =~ /"group":"ministry"/g, AGENTS, 'a filter of text');

like(http("GET /trp/metrics HTTP/1.0\r\n\r\n"),
    qr/^HTTP(?!.*^Transfer-Encoding).*^trp_relay_agent_sent_bytes_total/ms,
    'HTTP/1.0');

my $ssi = http_content(http("GET /ssi HTTP/1.1\r\nHost: a\r\n"
    . "Connection: close\r\n\r\n"));

like($ssi, qr/\Abefore \{"version".*\n\}\n between # HELP.* after\z/s,
    'in subrequests');
is(() = $ssi =~ /"name":"agent-\d+"/g, AGENTS, 'all rows in a subrequest');

SKIP: {
    skip 'no curl', 5 if !executable('curl');

    for my $case ([ 'gzip', 8080, '--compressed' ],
        [ 'trp', 8081, '--http2-prior-knowledge' ])
    {
        my ($path, $port, $option) = @$case;
        my $out = output('curl', '-s', $option,
            'http://127.0.0.1:' . port($port) . "/$path/status.json");
        is(() = $out =~ /"name":"agent-\d+"/g, AGENTS, $option);
        like($out, qr/\n\}\n\z/, "$option, the end");
    }

    my $out = output('curl', '-s', '-I', '--http2-prior-knowledge',
        'http://127.0.0.1:' . port(8081) . '/trp/metrics');
    like($out, qr!^HTTP/2 200!, 'HEAD, HTTP/2');
}

# several at once, each with its turns

my @socks = map { get('/trp/status.json') } 1 .. 5;
my @bodies = map { rest($_) } @socks;

is(scalar(grep { /\n\}\n\z/ } @bodies), 5, 'five at once');

# readers that do not read keep a buffer each, and hold up nobody

my $before = anon_memory($worker);
my @slow = map { get('/trp/metrics', 1) } 1 .. 50;

sysread($_, my $buf, 100) for @slow;

like(http_get('/other'), qr/^other/m, 'others are served');
whole('/trp/', 'while fifty do not read');

# sanitizers keep what is freed

my $grown = anon_memory($worker) - $before;
cmp_ok($grown, '<', 50 * ($ENV{TRP_PRELOAD} ? 1000 : 200),
    'their memory is bounded');

# they read after all

like(rest($slow[0]), qr/^trp_relay_agent_sent_bytes_total\{[^}]*"agent-2999"/m,
    'a slow one gets all of it');
like(rest($slow[49]), qr/^trp_relay_agent_sent_bytes_total\{[^}]*"agent-2999"/m,
    'the last one, too');

# some go away

my $open = fd_count($worker);

close $_ for splice @slow, 1, 40;
ok(wait_for(sub { fd_count($worker) <= $open - 40 }),
    'those that go leave nothing');

# one that does not read is not kept for ever

my $stuck = get('/timeout/metrics', 1);
ok(wait_log($t, qr/client timed out/), 'send_timeout');
close $stuck;

# the connection is good for the next request

my $s = dial(8080);
my $answers = '';

for (1, 2) {
    $s->syswrite("GET /trp/metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    my $got = '';
    1 while $got !~ /\r\n0\r\n\r\n\z/ && sysread $s, $got, 65536, length $got;
    $answers .= $got;
}

is(() = $answers =~ /^HTTP\S+ 200 /mg, 2, 'keep-alive');
close $s;

# a worker that exits gives its answer to the end

my $last = get('/trp/metrics', 1);
sysread $last, my $first, 100;
ok(reload_and_wait($t), 'reload');
like($first . rest($last),
    qr/^trp_relay_agent_sent_bytes_total\{[^}]*"agent-2999".*\n\z/ms,
    'an answer through a reload');

# also those that wait for their turn, and for no client

my @waiting = map { get('/trp/status.json') } 1 .. 20;
kill 'QUIT', worker_pids($t);
is(scalar(grep { /\n\}\n\z/ } map { rest($_) } @waiting), 20,
    'answers in their turns');


# json has all rows, metrics has all of each

sub whole {
    my ($path, $name) = @_;

    my $json = status_json(http_get("${path}status.json"));
    my %names = map { $_->{name} => 1 } @{$json->{agents}};
    is(scalar(keys %names), AGENTS, "json: $name");

    my %samples = status_metrics(http_get("${path}metrics"));
    my @sent = grep { /^trp_relay_agent_sent_bytes_total/ } keys %samples;
    is(scalar(@sent), AGENTS, "metrics: $name");
}


sub dial {
    my ($port, @more) = @_;

    return IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port($port),
        Timeout => 10, @more) || die "can't connect: $!\n";
}


# a request that is under way; a client that does not read has a small window

sub get {
    my ($path, $slow) = @_;
    my $s;

    if ($slow) {
        $s = IO::Socket->new(Domain => AF_INET, Type => SOCK_STREAM,
            Proto => 'tcp') || die "can't make a socket: $!\n";
        setsockopt $s, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096;
        connect $s, pack_sockaddr_in(port(8080), inet_aton('127.0.0.1'))
            or die "can't connect: $!\n";
    } else {
        $s = dial(8080);
    }

    $s->syswrite("GET $path HTTP/1.0\r\n\r\n");

    return $s;
}


sub rest {
    my ($s) = @_;
    my $got = '';

    1 while sysread $s, $got, 65536, length $got;

    return $got;
}
