#!/usr/bin/perl

# Tests for what an allocation may have at most: memory stays bounded.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

use constant { MAX => 512, ASKED => 32 };

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
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_unauthenticated_rate 10000r/s;
    }
}

EOC

$t->run()->plan(13);

# permissions

my $c = client();
my @hosts = map { '127.0.' . int($_ / 100) . '.' . (1 + $_ % 100) }
    0 .. MAX + ASKED;

my @permitted = splice @hosts, 0, MAX - 1;

is(join(' ', permit_all($c, @permitted)), '0', 'permissions');
is($c->permit(@hosts[0, 1])->{code}, 508, 'not so many');
is($c->permit($hosts[0])->{code}, 0, 'the last one');
is($c->permit($hosts[1])->{code}, 508, 'no more than that');
is($c->permit($permitted[0])->{code}, 0, 'refreshed');
is($c->bind_channel(0x4000, "$hosts[1]:80")->{code}, 508,
    'a channel would be one more');
is($c->bind_channel(0x4000, "$permitted[1]:80")->{code}, 0,
    'a channel to one of them');

# too many in a request

is(client()->permit(@hosts[0 .. ASKED])->{code}, 400, 'too many at once');

# channels

$c = client();
my %codes;
$codes{$c->bind_channel(0x4000 + $_, '127.0.0.1:' . (1000 + $_))->{code}}++
    for 0 .. MAX - 1;

is("@{[ %codes ]}", '0 ' . MAX, 'channels');
is($c->bind_channel(0x4000 + MAX, '127.0.0.1:80')->{code}, 508,
    'no more than that');
is($c->bind_channel(0x4000, '127.0.0.1:1000')->{code}, 0, 'refreshed');

my $peer = turn_peer();
$c->send_to(peer_addr($peer), 'by Send');
is(scalar peer_read($peer), 'by Send', 'Send goes on');

# another one has its own

is(client()->bind_channel(0x4000, '127.0.0.1:80')->{code}, 0,
    'another allocation');


# all codes that there were

sub permit_all {
    my ($c, @hosts) = @_;
    my %codes;

    while (my @some = splice @hosts, 0, ASKED) {
        $codes{$c->permit(@some)->{code}} = 1;
    }

    return sort keys %codes;
}


sub client {
    my $c = turn(port => port(8478), user => 'alice', password => 'secret');

    $c->allocate();
    return $c;
}
