#!/usr/bin/perl

# Tests for SOCKS5 over the server of pion/turn 5: streams and datagrams by TCP,
# TLS and UDP, ends, refusals, a wrong password, a server that goes and comes
# back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Interop;
use Test::Nginx::TRP::OtherTURN;
use Test::Nginx::TRP::Programs;

my $missing = interop_missing('pion');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

other_turn_conf($t, 8367, 8368);
trp_cert($t);

my ($port, $tls) = (both_ports(8367), port(8368));
other_turn_test($t, 'pion', \&pion);


sub pion {
    my $dir = $t->testdir();

    $t->run_daemon('sh', '-c', 'echo $$ > "$0/pion.pid"; '
        . 'exec "$@" 2> "$0/pion.log"', $dir, interop_command('pion',
        'server', "127.0.0.1:$port", qw/ alice secret 20000-25999 /,
        "$dir/localhost.crt", "$dir/localhost.key", "127.0.0.1:$tls"));

    $t->waitforsocket("127.0.0.1:$_") or die "no pion\n" for $port, $tls;
}
