#!/usr/bin/perl

# Tests for tunnels that come without a hint, or with a wrong one, to a relay
# with several workers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /)->plan(21);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl reuseport;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run();

my $dir = $relay->testdir();
wait_for(sub { worker_pids($relay) == 4 });

# groups of all the slots modulo 4

my %groups = map { slot_of($_) % 4 => $_ } '0', 'a' .. 'z';
is(keys %groups, 4, 'groups for each worker');

# with the right hint: READY, whichever worker accepts

for my $group (sort values %groups) {
    my %types = types(8, $group, hint(slot_of($group)));
    is("@{[ %types ]}", 'READY 8', "right hint, group $group");
}

# any slot of the same worker will do

my $slot = slot_of('0');
my %types = types(8, '0', hint(($slot + 4) % 64));
is("@{[ %types ]}", 'READY 8', 'other slot of that worker');

# with a wrong hint: MOVED, with the right one

for my $n (1 .. 3) {
    %types = types(4, '0', hint(($slot + $n) % 64));
    is("@{[ %types ]}", 'MOVED 4', "wrong hint, worker + $n");
}

# without: both happens, and each works

my %seen;

wait_for(sub {
    my ($client, $answer) = login('0');
    $seen{$answer->{type}}++;

    if ($answer->{type} eq 'MOVED') {
        ($client, my $again) = login('0', hint($answer->{slot}));
        $seen{again}{$again->{type}}++;
        $seen{slot}{$answer->{slot}}++;
    }

    return $seen{READY} && $seen{MOVED};
});

ok($seen{READY}, 'without a hint: READY');
ok($seen{MOVED}, 'without a hint: MOVED');
is("@{[ keys %{$seen{again}} ]}", 'READY', 'then READY');
is("@{[ keys %{$seen{slot}} ]}", $slot, 'slot of the group');

# hints that are none

for my $hint ('trp-slot/64', 'trp-slot/5', 'trp-slot/005', 'trp-slot/x1',
    'trp-slot/')
{
    my ($client, $answer) = login('0', $hint);
    like($answer->{type}, qr/^(?:READY|MOVED)$/, "\"$hint\" is ignored");
}

# an agent that does not redial is sent away; OPEN on its tunnel is an error

my ($client, $answer) = login('0', hint($slot + 1));
$client->send('OPEN', open_payload(port => 80));
isnt($client->wait_end(), 'timeout', 'closed');
ok(wait_log($relay, qr/unexpected frame/), 'logged');

# a pair is found from both ends, with and without a hint

my ($reverse) = login('0', hint($slot), 'reverse');
my ($entry) = login('0', hint($slot));
$entry->send('OPEN', open_payload(port => 80));
ok($reverse->expect('OPEN'), 'paired');


sub hint {
    return sprintf 'trp-slot/%02d', $_[0];
}


sub login {
    my ($group, $hint, $role) = @_;

    my $client = Test::Nginx::TRP::Client->new(port => port(8443),
        alpn => [ 'trp/2', defined $hint ? $hint : () ]);
    my $answer = $client->login(key => "$dir/any",
        group => $group, role => $role || 'entry');

    return ($client, $answer || { type => 'nothing' });
}


sub types {
    my ($count, @args) = @_;
    my %types;

    $types{(login(@args))[1]->{type}}++ for 1 .. $count;
    return %types;
}
