#!/usr/bin/perl

# Tests for the number of allocations that all users of a realm may have.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_user alice:secret;
    trp_turn_user bob:secret;
    trp_turn_user carol:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_unauthenticated_rate off;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_quota all=4 user=3;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp reuseport;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_quota all=6;
    }

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp reuseport;
        trp_turn;
        trp_turn_realm example.com;
        trp_turn_quota all=1;
    }
}

EOC

$t->run()->plan(9);

# whoever they are, and from wherever, over UDP and TCP

my @all = (client(8478, 'alice'), client(8478, 'bob', from => '127.0.0.2'),
    client(8479, 'alice', transport => 'tcp'),
    client(8478, 'bob', from => '127.0.0.3'));

is(codes(@all), '0 0 0 0', 'four');

my $more = client(8478, 'alice');
my $r = $more->allocate();
is("$r->{code} $r->{signed}", '486 sha1', 'no fifth');
is(codes(map { client(8478, 'bob', from => "127.0.1.$_") } 1 .. 12),
    "@{[ (486) x 12 ]}", 'whichever worker');
is($all[0]->refresh()->{code}, 0, 'the others live on');

# another server of this realm has another limit, and one of another realm

my @others = map { client(8480, 'carol') } 1 .. 3;
is(codes(@others), '0 0 486', 'another limit');
is(codes(my $other = client(8481, 'alice'), client(8481, 'bob')), '0 486',
    'another realm');

# when they end

$all[1]->refresh(0);
$all[3]->refresh(0);
$others[0]->refresh(0);
ok(begins($more), 'one ends, another begins');

# what was refused for one reason counts for none

is(codes(client(8478, 'alice')), '486', 'one of a user too many');
$all[0]->refresh(0);
ok(begins(client(8478, 'bob')), 'another one');


# when one has ended with another worker, this one may know it a moment later

sub begins {
    my ($c) = @_;
    return wait_for(sub { $c->allocate()->{code} eq '0' });
}


sub codes {
    return join ' ', map { $_->allocate()->{code} } @_;
}


sub client {
    my ($port, $user, %opts) = @_;
    my $udp = ($opts{transport} || 'udp') eq 'udp';

    return turn(port => port($port, udp => $udp), user => $user,
        password => 'secret', %opts);
}
