#!/usr/bin/perl

# Tests for SOCKS5 over coturn: streams and datagrams by TCP, TLS and UDP, ends,
# refusals, a wrong password, a server that goes and comes back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::OtherTURN;
use Test::Nginx::TRP::Programs;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)
    ->has_daemon('turnserver');

other_turn_conf($t, 8357, 8358);
trp_cert($t);

other_turn_test($t, 'coturn', sub {
    coturn($t, 8357, 8358) or die "no coturn\n";
});
