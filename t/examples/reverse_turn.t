#!/usr/bin/perl

# The configuration in examples/reverse-turn/ runs as it stands, but for
# ports: a user comes through a tunnel that is a TURN connection.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->has_daemon('curl');

my ($entry, $web, $relay) = (port(8080), port(8083), port(8443));

serve($t, $web, 'send', data => "HTTP/1.0 200 OK\r\n\r\nSEE THIS");

my ($curl) = example($t, 'reverse-turn', 4433 => $relay, 5001 => $entry,
    8080 => $web, 5349 => port(8087));

$t->plan(6);

is(output('curl', '-s', split ' ', $curl), 'SEE THIS', 'curl');

is(((stat $t->testdir() . "/cert/$_.conf")[2] & 077), 0,
    "nobody else reads $_.conf") for qw/ turn reverse /;

ok(wait_for(sub { lines($t, 'access.log') == 3 }),
    'access log, a line for each role');

# allocations that are kept end with the server

$t->stop();
my $re = qr/^127\.0\.0\.1 TCP \d+:reverse, \S+ with 127\.0\.0\.1:$relay:/;
my @log = grep { $_ =~ $re } split /\n/, $t->read_file('logs/turn.log');

cmp_ok(@log, '>=', 4, 'tunnels are allocations');
is(grep({ !m!: [1-9]\d*/[1-9]\d* bytes! } @log), 0, 'with data');


sub lines {
    my ($t, $name) = @_;
    return count_log($t, qr/^/, file => "logs/$name");
}
