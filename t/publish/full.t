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

hub_conf($relay, stream => 'trp_relay_zone trp 64k;');
trp_cert($relay);

my ($one, $two) = trp_keys($relay, 'one', 'two');

$relay->write_file('authorized_keys', join "\n",
    map { "permitlisten=\"*\" $_" } $one, $two);
$relay->run()->plan(7);

# there is room for some thousand

my @first = map {
    my $n = $_;
    publisher('one', 1, "one$n", map { "name$n-$_.example" } 1 .. 1000);
} 1 .. 5;

my %codes = map { my $c = $_; map { code($c) => 1 } 1 .. 1000 } @first;

is(join(' ', sort keys %codes), '0 9', 'some have found room, others not');

my $second = publisher('two', 1, 'two', 'last.example');
is(code($second), 9, 'no room');

ok(!$second->read(timeout => 2.5), 'it is not told again');
is(count_log($relay, qr/no room for "last\.example"/), 1, 'logged once');

# another list

$first[0]->close();
my $shorter = publisher('one', 2, 'one1', 'name1-1.example');
is(code($shorter), 0, 'a shorter list');
is(code($second, timeout => 20), 0, 'room for the other one');

is(count_log($relay, qr/no room for "last\.example"/), 1, 'still once');


sub publisher {
    my ($key, $list, $name, @names) = @_;

    my $c = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $c->login(key => $relay->testdir() . "/$key",
        role => 'reverse', name => $name,
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
