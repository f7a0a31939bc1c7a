#!/usr/bin/perl

# SOCKS5 in front of a TURN server, to a name that has several addresses: those
# that are dead are passed over, also if they just do not answer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream udp /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    resolver 127.0.0.1:%%PORT_8982_UDP%%;

    upstream turn {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass turn;
    }
}

EOC

# 127.0.0.2 refuses, 127.0.0.3 does not answer, 127.0.0.4 does

dns($t, port(8982, udp => 1),
    'refuses.test' => '127.0.0.2 127.0.0.4',
    'silent.test' => '127.0.0.3 127.0.0.4',
    'dead.test' => '127.0.0.2 127.0.0.5');

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.4',
    LocalPort => port(8090), ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

fake_turn($t, port(8478), on => { connect => sub {
    return $_[1]->{attr}->{'xor-peer-address'} =~ /^127\.0\.0\.3:/
        ? 'drop' : undef;
} });

$t->run()->plan(5);

# the name server's answers take turns

for ([ 'refuses.test', qr/ 447 .*127\.0\.0\.2:/, 'turn.log' ],
    [ 'silent.test', qr/\[info\].* address 127\.0\.0\.3 of "?silent\.test:\d+"? /
    . qr/does not answer, the next one is tried/, 'error.log' ])
{
    my ($name, $re, $log) = @$_;
    my ($clients, $served) = (0, 0);

    do {
        my $c = socks(port(8080), "$name:" . port(8090));

        $clients++;
        $served++ if defined $c->rep() && $c->rep() eq '0'
            && $c->echo($name) eq $name;

    } until count_log($t, $re, file => $log) || $clients == 20;

    is($served, $clients, "$name: all are served");
    is(count_log($t, $re, file => $log) > 0, 1, "$name: after another one");
}

my $c = socks(port(8080), 'dead.test:' . port(8090));
is($c->rep(), '5', 'dead.test: refused');
