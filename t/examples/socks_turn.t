#!/usr/bin/perl

# The configuration in examples/socks-turn/ runs as it stands, but for
# ports: its curl, a name, UDP, and both access logs.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->has_daemon('curl');

my ($proxy, $web, $dns) = (port(8080), port(8083), port(8984, udp => 1));

serve($t, $web, 'send', data => "HTTP/1.0 200 OK\r\n\r\nSEE THIS");
name_server($t, $dns, 'web.example' => '127.0.0.1');

my ($curl) = example($t, 'socks-turn', 1080 => $proxy, 8080 => $web,
    '3478 udp' => port(8985, udp => 1) . ' udp', 3478 => port(8086),
    5349 => port(8087), '127.0.0.53' => "127.0.0.1:$dns");

$t->plan(11);

is(curl($curl), 'SEE THIS', 'curl');
is(curl($curl =~ s!//127.0.0.1:!//web.example:!r), 'SEE THIS', 'curl, name');
is(socks($proxy, '127.0.0.1:' . port(8099))->rep(), 5, 'refused');
is(socks($proxy, "none.example:$web")->rep(), 4, 'no such name');

my $u = socks_udp($proxy);
my $answer = $u->udp() ? $u->ask("127.0.0.1:$dns",
    dns_query('web.example', 'A')) : {};
$u->close();

is(dns_answers($answer->{data}), '127.0.0.1', 'UDP');
is($answer->{from}, "127.0.0.1:$dns", 'UDP, from whom');

ok(wait_log($t, qr/^127\.0\.0\.1 -> web\.example:$web .* ok, /,
    file => 'logs/access.log'), 'access log');

is(((stat $t->testdir() . "/cert/$_.conf")[2] & 077), 0,
    "nobody else reads $_.conf") for qw/ turn client /;

# allocations that are kept end with the server

$t->stop();
my $log = $t->read_file('logs/turn.log');

like($log, qr/^127\.0\.0\.1 TCP \d+:socks, \S+ with 127\.0\.0\.1:$_/m,
    "log of the TURN server") for $web, $dns;


sub curl {
    my ($args) = @_;
    return output('curl', '-s', split ' ', $args);
}
