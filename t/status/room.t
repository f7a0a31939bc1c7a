#!/usr/bin/perl

# A zone without room for all agents, and one that forgets those that are gone.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http
    socket_ssl_alpn /);

status_relay_conf($relay, zone => 'trp 64k',
    events => 'worker_connections 2048;');
trp_cert($relay);
$relay->write_file('authorized_keys', scalar trp_keys($relay, 'key'));

$relay->run()->plan(14);

my $rows = status()->{zone}{rows};

cmp_ok($rows, '<', 100, 'a small zone');

# more agents than rows

my @agents = map { agent($_) } 1 .. $rows + 5;

my $full = status();

is(@agents, $rows + 5, 'all agents are served');
cmp_ok(@{$full->{agents}}, '<', $rows, 'not all are listed');
cmp_ok($full->{zone}{unlisted_total}, '>=', 5, 'that is counted');
is(count_log($relay, qr/\[warn\].* no room for more than $rows rows/), 1,
    'and logged, once');
is(count_log($relay, qr/\[notice\].* has come/), $rows + 5,
    'each has a line in the log');

# those that are gone make room

my $listed = @{$full->{agents}};

$_->close() for splice @agents, 0, 20;

ok(wait_for(sub { count_log($relay, qr/\[notice\].* is gone/) == 20 }),
    'each is gone');
ok(row_is('agents', { up => 0 }), 'some are listed as gone');

$agents[-1]->close();
ok(wait_log($relay, qr/"a-@{[ $rows + 5 ]}" \(key\) at 127\.0\.0\.1 is gone: closed by the peer, group/),
    'since when one was there is not known if it was not listed');
pop @agents;

push @agents, map { agent("new$_") } 1 .. 10;

ok(row_is('agents', { name => 'a-new10', up => 1 }), 'another one is listed');
is(rows_of('agents', {}), $listed, 'in place of one that was gone');

# forgotten

status_relay_conf($relay, zone => 'trp 64k inactive=1s');
$relay->reload();
$_->close() for splice @agents;

ok(wait_for(sub { rows_of('agents', {}) == 0 }), 'nobody is remembered');

my $c = agent('last');
ok(row_is('agents', { name => 'a-last', up => 1, losses_total => 0 }),
    'there is room again');
is(rows_of('agents', {}), 1, 'nobody else');


sub agent {
    my ($name) = @_;

    return raw_agent(key => $relay->testdir() . '/key', name => "a-$name");
}
