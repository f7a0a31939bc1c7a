#!/usr/bin/perl

# Why an agent was lost, in the status and in the log of a relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http
    socket_ssl_alpn /);

status_relay_conf($relay, relay => 'trp_relay_heartbeat 500ms;');
trp_cert($relay);

my ($key, $other) = trp_keys($relay, 'key', 'other');

$relay->write_file('authorized_keys', "$key\n$other");
$relay->run()->plan(32);

# each is lost in its own way

my $c = agent('closes');
$c->close();
lost('closes', qr/^closed by the peer$/);

$c = agent('resets');
$c->abort();
lost('resets', qr/^connection was reset$/);

$c = agent('silent');
lost('silent', qr/^peer is silent$/);

$c = agent('wrong');
$c->write("\x7f\0\0\0");
lost('wrong', qr/^peer broke the protocol$/);

$c = agent('error');
$c->send('ERROR', "\1\0no");
lost('error', qr/^peer reported an error$/);

# one of two tunnels is no loss

my @two = map { agent('two') } 1, 2;
ok(row_is('agents', { name => 'two', tunnels => 2 }), 'two tunnels');

$two[0]->abort();
ok(row_is('agents', { name => 'two', tunnels => 1, up => 1,
    losses_total => 0 }), 'one of them is left');

$two[1]->close();
lost('two', qr/^closed by the peer$/);

# one that says that it leaves

$c = agent('leaves');
$c->send('DRAIN', '');

ok(row_is('agents', { name => 'leaves', up => 0, losses_total => 0,
    lost => undef }), 'it may be back');

# one that comes back

$c = agent('reloads');
$c->send('DRAIN', '');
ok(row_is('agents', { name => 'reloads', up => 0 }), 'reloads');

my $back = agent('reloads');
ok(row_is('agents', { name => 'reloads', up => 1, losses_total => 0 }),
    'it is back');

is(count_log($relay, qr/\[notice\].*"reloads" .* (?:gone|back)/), 0,
    'no line of one that reloads');

lost('leaves', qr/^the agent has stopped$/);

# a key that is removed

$c = agent('revoked', key => $relay->testdir() . '/other');
$relay->write_file('authorized_keys', $key);
$relay->reload();

is($c->expect('DRAIN') && 'DRAIN', 'DRAIN', 'it is told to leave');
$c->close();

lost('revoked', qr/^its key was removed$/);

# one that expires, one that is for another group

my %lines = (
    'its key has expired' => "expiry-time=\"202001312359\" $key",
    'its key is for another role or group now' => "group=\"b\" $key",
);

for my $why (sort keys %lines) {
    my $name = (split / /, $why)[3];

    $c = agent($name);
    $relay->write_file('authorized_keys', $lines{$why});
    $relay->reload();

    is($c->expect('DRAIN') && 'DRAIN', 'DRAIN', "$name: told to leave");
    $c->close();

    lost($name, qr/^$why$/);

    $relay->write_file('authorized_keys', $key);
    reload_and_wait($relay);
}

# one that does not come back after a reload that replaces the table

$c = agent('away');
status_relay_conf($relay, zone => 'trp 128k');
$relay->reload();

is($c->expect('DRAIN') && 'DRAIN', 'DRAIN', 'another table: told to leave');
$c->close();

lost('away', qr/^the relay's worker has exited$/);


sub agent {
    my ($name, %opts) = @_;

    return raw_agent(key => $relay->testdir() . '/key', name => $name, %opts);
}


sub lost {
    my ($name, $why) = @_;

    my $row = row_is('agents', { name => $name, up => 0,
        losses_total => 1 });

    like($row->{why}, $why, "why: $name");

    ok(wait_log($relay, qr/\[notice\].* reverse "$name" \(\w+\) at 127\.0\.0\.1 is gone: \Q$row->{why}\E, it /),
        "its line");
}
