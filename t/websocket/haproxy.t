#!/usr/bin/perl

# Agents behind HAProxy: users' connections, many of them, and through a reload
# of the relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebServers;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_and_agents($relay, $entry, $reverse);

haproxy($relay, port(8081), port(8444), port(8443))
    or plan(skip_all => 'no haproxy');

serve($relay, port(8090), 'echo');

$_->run() for $relay, $reverse, $entry;
$relay->plan(8 + 2 * 2);

ok(visit(port(8082)), 'a user');
ok(visit(port(8082), bytes => 20_000_000), 'many bytes');

my @many = map { connect_to(port(8082)) } 1 .. 20;
my @results = map { transfer($_, 100_000) } @many;
is(grep({ $_->{received_sha} eq $_->{sent_sha} && $_->{end} eq 'eof' }
    @results), 20, 'twenty at a time');

# a reload of the relay: who is there stays, all others find the new workers

my $s = connect_to(port(8082));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'one who stays');

reload_and_wait($relay, 2);

ok(wait_for(sub { visit(port(8082), timeout => 2) }), 'after a reload');
is(transfer($s, 1000)->{end}, 'eof', 'and who was there before');

is(count_log($_, qr/\[(?:warn|error|crit|alert)\]/), 0, 'no errors')
    for $entry, $reverse;
