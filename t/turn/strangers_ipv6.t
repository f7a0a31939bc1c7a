#!/usr/bin/perl

# Tests for the budget of IPv6 strangers: it is one for all addresses of a /64.
# In a network of the test's own.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Time::HiRes qw/ time /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;
use Test::Nginx::TRP::TURN;

use constant { RATE => 10 };

fault_network();

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen [2001:db8::1]:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
    }
}

EOC

address($_) for '2001:db8::1', map({ "2001:db8:0:1::$_" } 1 .. 50),
    map({ "2001:db8:0:$_\::1" } 2 .. 50);

$t->run()->plan(3);

my ($n, $limit) = answers(map { "2001:db8:0:1::$_" } 1 .. 50);
cmp_ok($n, '<=', $limit * RATE, 'addresses of one /64');
cmp_ok($n, '>', 0, 'some of them');

($n) = answers(map { "2001:db8:0:$_\::1" } 2 .. 50);
is($n, 4 * 49, 'addresses of many');


# four requests from each; how many were answered, and the seconds that allow
# for answers, with one more to begin with

sub answers {
    my @from = @_;
    my $start = time();
    my $n = 0;

    for my $from (@from) {
        my $c = turn(host => '2001:db8::1', port => port(8478),
            from => $from);

        $c->write(stun_message('allocate', [])) for 1 .. 4;
        $c->binding();
        $n += grep { $_->{method} eq 'allocate' } $c->queue();
    }

    return ($n, 2 + time() - $start);
}


sub address {
    my ($address) = @_;

    plan(skip_all => 'no IPv6 addresses')
        if system("ip addr add $address/128 dev lo nodad 2>/dev/null") != 0;
}
