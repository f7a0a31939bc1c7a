#!/usr/bin/perl

# Tests for limits of a group, which users of the relay's own nginx count for:
# streams at once, and how many are opened in a second.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

hub_conf($hub, relay => 'trp_relay_limit_group streams=2;');
reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$hub->run();
$reverse->run()->plan(13 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');

my @users = map { user() } 1 .. 2;

is(end_of(connect_to(port(8080))), 'reset', 'one too many');
ok(wait_log($hub, qr/the group has too many streams, group: "0", relay: local/),
    'log');
ok(wait_log($hub, qr/^over the limit 502$/, file => 'access.log'), 'access log')
    or diag($hub->read_file('access.log'));

close shift @users;
ok(wait_for(sub { visit(port(8080)) }), 'there is room again');

# a stream that nobody reads counts until it is over

my $slow;
ok(wait_for(sub { $slow = user() }), 'one that nobody reads');
is(end_of(connect_to(port(8080))), 'reset', 'full');
abort($slow);
ok(wait_for(sub { visit(port(8080)) }), 'after a reset');
close shift @users;

# a new generation, with another limit

hub_conf($hub, relay => 'trp_relay_limit_group opens=5r/s;');
reload_and_wait($hub);
ok(wait_for(sub { visit(port(8080)) }), 'reload');

# all at once, however slow the machine is: they come while the worker is stopped

my @worker = worker_pids($hub);
kill 'STOP', @worker;
my @many = map { connect_to(port(8080)) } 1 .. 30;
syswrite $_, 'x' for @many;
kill 'CONT', @worker;

my @ends = map { IO::Select->new($_)->can_read(30)
    && sysread($_, my $data, 1) ? 'ok' : 'no' } @many;
cmp_ok(scalar(grep { $_ eq 'no' } @ends), '>', 10, 'too fast');
cmp_ok(scalar(grep { $_ eq 'ok' } @ends), '>', 3, 'but not all');
close $_ for @many;
ok(wait_log($hub, qr/streams are opened too fast in the group/), 'log');
ok(wait_for(sub { visit(port(8080)) }), 'slower');


# one that is served

sub user {
    my $s = connect_to(port(8080));
    syswrite $s, 'x';
    return sysread($s, my $data, 1) ? $s : undef;
}
