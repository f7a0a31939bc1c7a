#!/usr/bin/perl

# Tests for a user with trp_entry_unavailable "reset" who has said nothing when
# the relay's nginx is reloaded, and speaks when the old worker has had no
# reverse for so long that it counts as absent: the next worker has it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl stream_ssl_preread /);
my $reverse = Test::Nginx->new();

hub_conf($hub,
    upstream => 'trp_entry_unavailable reset;',
    server => 'ssl_preread on;');
reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$hub->run();
$reverse->run()->plan(6 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');

# from now on the worker remembers the group when its reverses have left

ok(visit(port(8080)), 'served');

my @silent = map { connect_to(port(8080), timeout => 30) } 1 .. 3;

ok(wait_log($hub, qr/client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:\d+/,
    count => 4), 'accepted');

$hub->reload();
ok(wait_for(sub { count_log($hub, qr/gracefully shutting down/) }), 'reload');
ok(wait_for(sub { count_log($hub, qr/has a tunnel/) >= 8 }),
    'reverses are elsewhere');

# for certain longer than NGX_TRP_PAIR_ABSENT_TIME

select undef, undef, undef, 3;

is(scalar(grep { answered($_) } @silent), 3, 'all are served');


sub answered {
    my ($s) = @_;

    syswrite $s, 'not TLS';
    return (sysread($s, my $data, 100) // 0) == 7;
}
