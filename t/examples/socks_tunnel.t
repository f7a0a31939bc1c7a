#!/usr/bin/perl

# The configuration in examples/socks-tunnel/ runs as it stands, but for
# ports: its curl, wrong passwords, UDP, what is denied.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->has_daemon('curl');

my ($proxy, $web) = (port(8080), port(8083));
my $dns = port(8984, udp => 1);

serve($t, $web, 'send', data => "HTTP/1.0 200 OK\r\n\r\nSEE THIS");
name_server($t, $dns, 'a.example' => '192.0.2.1');

my ($curl) = example($t, 'socks-tunnel', 4433 => port(8443), 1080 => $proxy,
    8080 => $web);

$t->plan(9);

my @user = (user => 'alice', password => 'secret');

is(curl($curl), 'SEE THIS', 'curl');
is(curl($curl =~ s/localhost/127.0.0.1/r), 'SEE THIS', 'curl, address');
is(curl($curl =~ s/:secret/:guess/r), '', 'wrong password');

is(((stat $t->testdir() . '/cert/socks.users')[2] & 077), 0,
    'nobody else reads the users');

is(socks($proxy, '127.0.0.1:25', @user)->rep(), 2, 'mail is denied');
is(socks($proxy, "192.0.2.1:$web", @user)->rep(), 2,
    'not in the network of the reverse');

my $u = socks_udp($proxy, @user);
my $answer = $u->ask("127.0.0.1:$dns", dns_query('a.example', 'A'));
is(dns_answers($answer->{data}), '192.0.2.1', 'UDP');
$u->close();

for my $to ("localhost:$web", '0.0.0.0:0') {
    ok(wait_log($t, qr/^127\.0\.0\.1 alice -> \Q$to\E .* ok, /,
        file => 'logs/access.log'), 'access log');
}


sub curl {
    my ($args) = @_;
    return output('curl', '-s', split ' ', $args);
}
