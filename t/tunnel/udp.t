#!/usr/bin/perl

# Tests for streams of UDP at the reverse: each DATA frame is a datagram to
# the destination, and each of its answers is one, with stock directives.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn udp /);
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $remote_addr $trp_destination_port $status $trp_status "
                    "$bytes_received $bytes_sent";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_allow 127.0.0.1:%%PORT_8980_UDP%%
                      127.0.0.1:%%PORT_8981_UDP%% 127.0.0.1:8982;

    server {
        trp_reverse relay;
        trp_reverse_group unlimited;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group short;
        proxy_timeout 500ms;
        proxy_buffer_size 1k;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group once;
        proxy_requests 1;
        proxy_responses 1;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($relay, 'entry'),
    trp_keys($reverse, 'reverse'));

my $key = $relay->testdir() . '/entry';
my $udp = port(8980, udp => 1);
my $closed = port(8981, udp => 1);

$relay->run_daemon(\&echo, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => $udp) || die("no socket: $!\n"),
    $relay);

serve($relay, port(8982), 'echo');

$relay->run();
$reverse->run()->plan(52 + 2);

ok(wait_log($relay, qr/reverse ".*" .* has a tunnel.*"$_"/), "group $_")
    for qw/ unlimited short once /;

# frames are datagrams; an empty one is one, too

my $c = entry('unlimited');
$c->send('OPEN', open_payload(proto => 17, port => $udp));
$c->send('DATA', 'first');

is($c->expect('ACCEPT')->{type}, 'ACCEPT', 'accepted');
is($c->read()->{payload}, 'first', 'the first datagram');

my @sizes = (0, 1, 2, 1472, 4096, 9000, 16000, 16380);

for my $size (@sizes) {
    my $data = chr(97 + $size % 26) x $size;
    $c->send('DATA', $data);
    is($c->read()->{payload}, $data, "$size bytes");
}

# several in one write, and in pieces

$c->write(join '', map { frame('DATA', $_) } 'a', '', 'bc', 'def');
is(join('|', sort map { $c->read()->{payload} } 1 .. 4), '|a|bc|def',
    'four in one write');

$c->write_slowly(frame('DATA', 'slow'));
is($c->read()->{payload}, 'slow', 'byte by byte');

# what is read with the first one is half of the second one

my $half = frame('DATA', join '', map { chr(33 + $_ % 90) } 1 .. 16000);
$c->write(frame('DATA', 'first') . substr $half, 0, 7000, '');
is($c->read()->{payload}, 'first', 'in front of a half');
$c->write($half);
is($c->read()->{payload}, join('', map { chr(33 + $_ % 90) } 1 .. 16000),
    'two halves');

# the end: no half of it is left open

$c->send('END');
is($c->read()->{type}, 'END', 'end is answered');
is($c->read()->{type}, 'DONE', 'and consumed');
$c->send('DONE');

ok(wait_log($reverse, qr/^UDP 127.0.0.1 $udp 200 ok \d+ \d+$/,
    file => 'access.log'), 'access log');

# the tunnel serves the next stream

$c->send('OPEN', open_payload(proto => 17, port => $udp, id => 'identit2'));
$c->send('DATA', 'again');
is($c->expect('ACCEPT')->{type}, 'ACCEPT', 'accepted again');
is($c->read()->{payload}, 'again', 'another stream');
$c->send('RESET');
is($c->read()->{type}, 'RESET', 'reset is answered');
is($c->read()->{type}, 'DONE', 'and consumed');
$c->send('DONE');

# TCP passes over empty frames

$c->send('OPEN', open_payload(port => port(8982), id => 'identit3'));
$c->write(join '', map { frame('DATA', $_) } 'a', '', '', 'bc', '', 'def');
is($c->expect('ACCEPT')->{type}, 'ACCEPT', 'TCP');
is($c->data(length => 6), 'abcdef', 'empty frames of TCP');
$c->close();

# a destination that sends more than anybody reads: whole datagrams, or none

$c = entry('unlimited');
$c->send('OPEN', open_payload(proto => 17, port => $udp));
$c->send('DATA', 'flood');
is($c->expect('ACCEPT')->{type}, 'ACCEPT', 'flood');

ok(wait_log($relay, qr/^flooded$/, file => 'flood'), 'without a reader');

my ($n, $last, $wrong) = (0, -1, 0);

while (1) {
    my $m = $c->read();
    my ($i, $rest) = unpack 'N a*', $m->{payload};
    last if $i == 0xffffffff;

    $wrong++ if $i <= $last || $rest ne chr(65 + $i % 26) x 1400;
    ($n, $last) = ($n + 1, $i);
}
continue {
    $c->send('DATA', 'end') if $n % 100 == 0;
}

is($wrong, 0, 'whole, and in order');
ok($n > 100 && $n < 40000, 'some were dropped') or diag($n);
$c->close();

# not allowed

$c = entry('unlimited');
$c->send('OPEN', open_payload(proto => 17, port => 9));
$c->send('DATA', 'x');
is($c->read()->{code}, 'not_allowed', 'not allowed');
$c->close();

# ICMP's "port unreachable" ends the session

$c = entry('unlimited');
$c->send('OPEN', open_payload(proto => 17, port => $closed));
$c->send('DATA', 'x');
is($c->read()->{type}, 'ACCEPT', 'accepted without an answer');
is($c->read()->{type}, 'RESET', 'nobody there');
$c->close();

ok(wait_log($reverse, qr/^UDP 127.0.0.1 $closed 200 aborted 1 0$/,
    file => 'access.log'), 'access log');

# proxy_timeout, and a buffer that is too small

$c = entry('short');
$c->send('OPEN', open_payload(proto => 17, port => $udp));
$c->write(join '', map { frame('DATA', $_ ) }
    'x' x 1024, 'x' x 1025, 'x' x 16000, 'last');
is($c->read()->{type}, 'ACCEPT', 'accepted');
is(length $c->read()->{payload}, 1024, 'fits');
is($c->read()->{payload}, 'last', 'others do not');
is($c->read()->{type}, 'END', 'timed out');
$c->send('DONE');
$c->send('END');
is($c->read()->{type}, 'DONE', 'free again');
is(count_log($reverse, qr/datagram of .* does not fit/), 1, 'logged once');

ok(wait_log($reverse, qr/^UDP 127.0.0.1 $udp 200 ok 1028 1028$/,
    file => 'access.log'), 'access log');

# proxy_responses

$c = entry('once');
$c->send('OPEN', open_payload(proto => 17, port => $udp));
$c->send('DATA', 'query');
is($c->read()->{type}, 'ACCEPT', 'accepted');
is($c->read()->{payload}, 'query', 'response');
is($c->read()->{type}, 'END', 'that was all');
$c->close();

# the first datagram may take its time; the entry that goes away before

$c = entry('unlimited');
$c->send('OPEN', open_payload(proto => 17, port => $udp));
$c->send('PING');
is($c->read()->{type}, 'PONG', 'PONG before ACCEPT');
is($c->read(timeout => 0.2), undef, 'waits for a datagram');
$c->send('END');
is($c->read()->{type}, 'REFUSE', 'gives up');
is($c->read()->{type}, 'DONE', 'and is done');
$c->close();

# a session outlives a reload

$c = entry('unlimited');
$c->send('OPEN', open_payload(proto => 17, port => $udp));
$c->send('DATA', 'x');
is($c->read()->{type}, 'ACCEPT', 'accepted');
is($c->read()->{payload}, 'x', 'answer');
ok(reload_and_wait($reverse), 'reload');
$c->send('DATA', 'y');
is($c->read()->{payload}, 'y', 'goes on');
$c->close();


sub entry {
    my ($group) = @_;
    my $c = Test::Nginx::TRP::Client->new(port => port(8443));

    $c->login(key => $key, role => 'entry', group => $group)->{type} eq 'READY'
        or die "entry is not ready\n";

    return $c;
}


sub echo {
    my ($s, $t) = @_;

    while (defined(my $from = $s->recv(my $data, 65536))) {

        if ($data eq 'end') {
            $s->send(pack('N', 0xffffffff), 0, $from);

        } elsif ($data eq 'flood') {
            $s->send(pack('N a*', $_, chr(65 + $_ % 26) x 1400), 0, $from)
                for 0 .. 39999;
            $t->write_file('flood', "flooded\n");

        } else {
            $s->send($data, 0, $from);
        }
    }
}
