#!/usr/bin/perl

# Tests for SOCKS5 connections that do not end well: a reset of one side is a
# reset of the other one, and a lost tunnel is one only if data has flowed.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_status $status $trp_destination_port";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_timeout 300ms;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8443);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), trp_keys($relay, 'bad'));

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve($reverse, port(8091), 'flood', record => 'flood.log',
    bytes => 8_000_000);
serve($reverse, port(8092), 'reset');
serve($reverse, port(8093), 'reset', after => 100_000);
$reverse->run_daemon(\&answers, listener(port(8094)));

my $dir = $relay->testdir();

$relay->run();
$entry->run();
$reverse->run()->plan(49 + 2 * 2);

my ($c, $n);

# the destination resets

for my $i (1 .. 5) {
    $c = client(8092);
    like($c->rep() ? "$c->{rep} $c->{end}" : '0 ' . end_of($c->socket()),
        qr/^(?:0 reset|5 eof)$/, "at once, $i");
}

$c = client(8093);
$c->write('x' x 100_000);
is(end_of($c->socket()), 'reset', 'after data');

$c = client(8093);
is(defined fill($c->socket(), 8_000_000) ? end_of($c->socket()) : 'reset',
    'reset', 'while the client sends');

$c = client(8094);
$c->write('answer');
is(end_of($c->socket()), 'reset', 'behind an answer');

# the client does

$c = client(8090);
is($c->echo('SEE'), 'SEE', 'echo');
abort(delete $c->{socket});
is(recorded($reverse, 'echo.log', 1), 'reset', 'client resets');

$c = client(8091);
$c->read(1_000_000);
abort(delete $c->{socket});
is(recorded($reverse, 'flood.log', 1), 'reset', 'while it gets data');

$c = client(8091);
$c->write('x' x 1_000_000);
abort(delete $c->{socket});
is(recorded($reverse, 'flood.log', 2), 'reset', 'while it sends');

# the proxy is tired of both

$c = socks(port(8081), '127.0.0.1:' . port(8090));
is($c->echo('SEE'), 'SEE', 'echo');
is(end_of($c->socket()), 'reset', 'timeout for the client');
is(recorded($reverse, 'echo.log', 2), 'reset', 'timeout for the destination');

ok(wait_log($entry, qr/^aborted 200|^refused 502 ${\port(8092)}$/, count => 12,
    file => 'access.log'), 'aborted');
is(count_log($entry, qr/^ok/, file => 'access.log'), 0, 'all of them');

# the tunnel is lost: behind the reply that is a reset

for my $data ('', 'half an answer') {
    my ($bad, $c) = opened();
    $bad->write(frame('ACCEPT') . ($data ? frame('DATA', $data) : ''));
    is($c->reply(), 0, 'reply');
    is($c->read(length $data), $data, "data: '$data'");
    $bad->close();
    is(end_of($c->socket()), 'reset', 'lost in the middle');
}

# in front of it, another tunnel serves the client; what he sent early counts

my %fail = (
    closes => sub { $_[0]->close() },
    resets => sub { $_[0]->abort() },
    'refuses with retry' => sub {
        $_[0]->send('REFUSE', refuse_payload('limit', 1));
    },
    'drains and closes' => sub {
        $_[0]->send('DRAIN');
        $_[0]->close();
    },
);

for my $what (sort keys %fail) {
    for my $early ('', noise(10_000)) {
        my ($bad, $c) = opened($early);
        $fail{$what}->($bad);

        is($c->reply(), 0, "$what: reply");
        ok($c->read(length $early) eq $early && $c->echo('SEE') eq 'SEE',
            "$what: echo of " . length $early);
    }
}

# a refusal that is final has a reply: codes of the protocol

my %replies = (5 => 2, 6 => 4, 7 => 5, 8 => 6, 9 => 1, 10 => 1, 11 => 3,
    12 => 4, 99 => 1);

for my $code (sort { $a <=> $b } keys %replies) {
    my ($bad, $c) = opened();

    $bad->send('REFUSE', refuse_payload($code, 0));
    is($c->reply() . " $c->{end}", "$replies{$code} eof", "refused: $code");
}

is(count_log($entry, qr/\[alert\]/), 0, 'no alerts');


sub client {
    my ($port) = @_;
    my $c = socks(port(8080), '127.0.0.1:' . port($port));

    return $c;
}


# A client whose request is at an agent of ours, and the agent.  Agents that
# have refused come last for a second: this one is another agent each time,
# and less busy than any, as it was never chosen.

sub opened {
    my ($early) = @_;
    my $to = '127.0.0.1:' . port(8090);

    my $bad = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $bad->login(key => "$dir/bad", role => 'reverse',
        name => 'bad' . ++$n);
    die "no tunnel\n" if !$ready || $ready->{type} ne 'READY';

    my $c = socks(port(8080), $to, stop => 'auth');
    $c->write(socks_request($to) . (defined $early ? $early : ''));

    $bad->expect('OPEN') or die "the bad one was not chosen\n";
    return ($bad, $c);
}


# the end of a connection in the records

sub recorded {
    my ($t, $file, $count) = @_;

    wait_log($t, qr/./, file => $file, count => $count);
    my @lines = served($t, $file);
    return @lines == $count ? (split ' ', $lines[-1])[2] : 'lines: ' . @lines;
}


# resets behind its answer

sub answers {
    my ($listener) = @_;

    while (my $s = $listener->accept()) {
        sysread($s, my $data, 6);
        syswrite $s, 'no';
        abort($s);
    }
}
