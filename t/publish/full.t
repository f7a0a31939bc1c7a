#!/usr/bin/perl

# The table of published names is full: who comes too late is told so, once,
# and gets its name when there is room again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);

hub_conf($relay, stream => 'trp_relay_zone 64k;');
trp_cert($relay);

my ($one, $two) = trp_keys($relay, 'one', 'two');

$relay->write_file('authorized_keys', join "\n",
    map { "permitlisten=\"*\" $_" } $one, $two);
$relay->run()->plan(7);

my $first = publisher('one', 1, map { "name$_.example" } 1 .. 1000);
my %codes = map { code($first) => 1 } 1 .. 1000;

is(join(' ', sort keys %codes), '0 9', 'some have found room, others not');

my $second = publisher('two', 1, 'last.example');
is(code($second), 9, 'no room');

ok(!$second->read(timeout => 2.5), 'it is not told again');
is(count_log($relay, qr/no room for "last\.example"/), 1, 'logged once');

# another list

$first->close();
$first = publisher('one', 2, 'name1.example');
is(code($first), 0, 'a shorter list');
is(code($second, timeout => 20), 0, 'room for the other one');

is(count_log($relay, qr/no room for "last\.example"/), 1, 'still once');


sub publisher {
    my ($key, $list, @names) = @_;

    my $c = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $c->login(key => $relay->testdir() . "/$key",
        role => 'reverse', name => $key,
        flags => "\0" . pack 'Q>', $list);

    die "not ready\n" if !$ready || $ready->{type} ne 'READY';

    while (@names) {
        my @some = splice @names, 0, 40;
        $c->send('PUBLISH', (@names ? "\0" : "\1")
            . join '', map { pack 'C/a', $_ } @some);
    }

    return $c;
}


sub code {
    my ($c, %opts) = @_;
    my $frame = $c->expect('PUBLISHED', %opts) or return 'none';
    return ord $frame->{payload};
}
