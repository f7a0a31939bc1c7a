#!/usr/bin/perl

# Tests for SOCKS5 clients that send in pieces, everything at once, nonsense,
# or nothing any more.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $status $trp_destination";
    access_log %%TESTDIR%%/access.log socks;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream agents {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse agents;
        trp_reverse_key reverse;
        trp_reverse_pool idle=10 max=10;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_connect_timeout 1s;
        proxy_pass $trp_destination;
    }

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=10 max=10;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        preread_timeout 500ms;
        proxy_pass relay;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry', 'reverse'));

serve($t, port(8090), 'echo');
my $full = full_listener(port(8092));

$t->run()->plan(61);

my @user = (user => 'bob', password => 'secret');
my $echo = '127.0.0.1:' . port(8090);
my $port = port(8090);

# in pieces

is(ask(8080, $echo, slow => 1), '0 SEE', 'byte by byte');
is(ask(8081, $echo, slow => 1, @user), '0 SEE', 'with a password');
is(ask(8080, "localhost:$port", slow => 1), '0 SEE', 'with a name');
is(ask(8080, "localhost:$port", slow => 1, once => 1), '0 SEE',
    'without waiting for answers');

# everything at once

is(ask(8080, $echo, once => 1), '0 SEE', 'at once');
is(ask(8081, $echo, once => 1, @user), '0 SEE', 'with a password');
is(early(8080, 5), '5 eof', 'early data');
is(early(8081, 5, @user), '5 eof', 'and a password');
is(early(8080, 1_900), '1900 eof', 'more of it');
is(early(8080, 20_000), '20000 eof', 'even more');
is(early(8081, 1_000_000, @user), '1000000 eof', 'a megabyte');
is(early(8080, 5, slow => 1), '5 eof', 'byte by byte');

# the same, but it fails: the answer comes before the end

my @data = (once => 1, data => 'x' x 10_000);
my $closed = '127.0.0.1:' . port(8099);

is(ask(8080, $closed, once => 1), '5 eof', 'refused');
is(ask(8080, $closed, @data), '5 eof', 'refused, early data');
is(ask(8080, $echo, @data, command => 2), '7 eof', 'BIND, early data');
is(ask(8080, $echo, @data, atyp => 9), '8 eof', 'type, early data');
is(ask(8081, $echo, @data, user => 'bob', password => 'x'), 'auth 1 eof',
    'wrong password, early data');
is(ask(8081, $echo, @data), 'method 255 eof', 'no password, early data');

# no SOCKS5; what the client gets, and what the log says

my $no_socks = qr/client does not speak SOCKS5/;
my $count = 0;

for my $case (
    [ 'SOCKS4', pack('C C n C4 x', 4, 1, $port, 127, 0, 0, 1) ],
    [ 'HTTP', "CONNECT 127.0.0.1:$port HTTP/1.1\r\n\r\n" ],
    [ 'SSH', "SSH-2.0-OpenSSH_9.2p1\r\n" ],
    [ 'TLS', client_hello() ],
    [ 'a null byte', "\0", 'it begins with "\\\\x00"' ],
    [ 'noise', "\x99" . noise(100_000), 'it begins with "\\\\x99' ])
{
    my ($name, $bytes, $what) = @$case;
    my $c = socks(port(8080), $echo, raw => $bytes);

    like($c->end_of(), qr/^(?:eof|reset)$/, "$name: closed");
    $count++;
    $what ||= "this looks like $name";

    ok(wait_log($t, qr/\[info\].* $no_socks, $what.* client: /),
        "$name: a line");
    is(count_log($t, $no_socks), $count, "$name: one line");
}

# a message of SOCKS5 where another one belongs

is(raw(8080, socks_greeting(0) . socks_greeting(0) . socks_request($echo)),
    '0500 05080001000000000000 eof', 'two greetings');
is(raw(8080, socks_request($echo)), '0500 eof', 'no greeting');
like(raw(8081, socks_greeting(2) . socks_request($echo)), qr/^0502 eof$/,
    'no password');
like(raw(8080, socks_greeting(0) . socks_password(qw/ bob secret /)),
    qr/^0500 eof$/, 'a password that nobody wants');
like(raw(8080, socks_greeting(0) . socks_request($echo, version => 4)),
    qr/^0500 eof$/, 'version 4 in the request');

for my $name ('', 'a b', "a\0b", '-', '1.2.3', '[::1', "a\nb", 'x' x 255) {
    like(raw(8080, socks_greeting(0) . "\5\1\0\3" . pack 'C/a n', $name, 80),
        qr/^0500 (?:05(?:01|04|08)0001000000000000 |)eof$/,
        'name: ' . substr $name =~ s/([\n\0])/ord $1/er, 0, 10);
}

# who is too slow

my $c = socks(port(8082), $echo, stop => 'connect');
is($c->end_of(), 'eof', 'timeout of the greeting');
$c = socks(port(8082), $echo, stop => 'greeting', @user);
is($c->end_of(), 'eof', 'timeout of the password');
$c = socks(port(8082), $echo, stop => 'auth', @user);
is($c->end_of(), 'eof', 'timeout of the request');

ok(wait_log($t, qr/\[info\].* client timed out .*client: /, count => 3),
    'lines');
ok(wait_log($t, qr/^${\port(8082)} 400 -?$/, file => 'access.log', count => 3),
    'status');

# and gives a sign of life now and then

$c = socks(port(8082), $echo, stop => 'greeting', @user);
my $tries = 0;

for my $byte (split //, "\1\xff" . 'a' x 255) {
    last if !$c->write($byte) || $c->{socket}->connected()
        && IO::Select->new($c->socket())->can_read(0.1);
    $tries++;
}

cmp_ok($tries, '<', 200, 'timeout of the whole');
like($c->end_of(), qr/^(?:eof|reset)$/, 'its end');

# who goes away, in each state

my @workers = worker_pids($t);
is(ask(8080, $echo), '0 SEE', 'before');

wait_for(sub { !tcp_count(port($_)) }) for 8080, 8081, 8082;
my $before = settled(@workers);

for my $leave (\&abort, sub { close $_[0] }) {
    for my $stop (qw/ connect greeting auth /) {
        for (1 .. 10) {
            my $c = socks(port(8081), $echo, @user, stop => $stop);
            $leave->(delete $c->{socket});

            $c = socks(port(8081), $echo, @user, stop => $stop);
            $c->write("\5\1");
            $leave->(delete $c->{socket});
        }
    }

    for (1 .. 3) {
        my $c = socks(port(8082), '127.0.0.1:' . port(8092), @user,
            stop => 'auth');
        $c->write(socks_request('127.0.0.1:' . port(8092)));
        $leave->(delete $c->{socket});
    }
}

for my $port (8081, 8082) {
    ok(wait_for(sub { !tcp_count(port($port)) && !tcp_count(port($port),
        'CLOSE_WAIT') }), "$port: nobody is left");
}

ok(wait_for(sub { fd_count(@workers) <= $before }), 'no descriptor is left')
    or diag($before, ' before, now ', fd_count(@workers));
is(ask(8080, $echo), '0 SEE', 'after');


sub ask {
    my ($port, $to, %opts) = @_;
    my $c = socks(port($port), $to, %opts);

    return "method 255 $c->{end}" if ($c->method() || 0) == 255;
    return "auth $c->{auth} $c->{end}" if $c->auth();
    return $c->end() if !defined $c->rep();
    return $c->rep() . ' ' . ($c->end() || $c->echo('SEE'));
}


# so many bytes go with the request; all of them come back, and the digest

sub early {
    my ($port, $bytes, %opts) = @_;
    my $noise = noise($bytes);
    my $at_once = $bytes > 100_000 ? 100_000 : $bytes;

    my $c = socks(port($port), '127.0.0.1:' . port(8090), once => 1,
        data => substr($noise, 0, $at_once), %opts);

    return 'reply: ' . ($c->rep() || $c->end()) if $c->rep() || $c->end();

    my $back = $c->read($at_once);
    $back .= $c->echo(substr $noise, $at_once);
    return 'other data' if $back ne $noise;

    shutdown $c->socket(), 1;
    return length($back) . ($c->end_of() =~ / (eof)$/ ? ' eof' : $c->end());
}


# everything that is answered, in hex, and the end

sub raw {
    my ($port, $bytes) = @_;
    my $c = socks(port($port), '127.0.0.1:80', raw => $bytes);

    my $all = unpack 'H*', $c->read(100);
    $all =~ s/^(050[02]|05ff|01..)(?=.)/$1 /;
    return ($all eq '' ? '' : "$all ") . $c->end();
}


# how many there are when no more go away

sub settled {
    my (@pids) = @_;
    my ($last, $same) = (0, 0);

    return wait_for(sub {
        my $now = fd_count(@pids);
        $same = $now == $last ? $same + 1 : 0;
        $last = $now;
        return $same > 25 && $now;
    });
}
