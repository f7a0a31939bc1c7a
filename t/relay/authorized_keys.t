#!/usr/bin/perl

# Tests for the options of authorized keys: which agents are let in.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# key, group, name of the agent, and why it is not let in

my @entries = (
    [ 'plain', '0', 'plain-1' ],
    [ 'plain', 'any:group@all', 'plain-2' ],
    [ 'entry', '0', 'entry-1' ],
    [ 'reverse', '0', 'reverse-1', 'key is not for this role' ],
    [ 'both', '0', 'both-1' ],
    [ 'groups', 'a', 'groups-1' ],
    [ 'groups', 'b', 'groups-2' ],
    [ 'groups', 'bcd', 'groups-3' ],
    [ 'groups', 'ab', 'groups-4', 'key is not for this group' ],
    [ 'groups', '0', 'groups-5', 'key is not for this group' ],
    [ 'near', '0', 'near-1' ],
    [ 'far', '0', 'far-1', 'key may not be used from this address' ],
    [ 'young', '0', 'young-1' ],
    [ 'old', '0', 'old-1', 'key has expired' ],
    [ 'stranger', '0', 'stranger-1', 'key is not in the authorized keys' ],
    [ 'combined', 'x', 'combined-1' ],
);

my @reverses = (
    [ 'plain', '0', 'plain-11' ],
    [ 'entry', '0', 'entry-11', 'key is not for this role' ],
    [ 'reverse', '0', 'reverse-11' ],
    [ 'both', '0', 'both-11' ],
    [ 'groups', 'a', 'groups-11' ],
    [ 'groups', 'c', 'groups-12', 'key is not for this group' ],
    [ 'far', '0', 'far-11', 'key may not be used from this address' ],
    [ 'old', '0', 'old-11', 'key has expired' ],
    [ 'stranger', '0', 'stranger-11', 'key is not in the authorized keys' ],
    [ 'combined', 'x', 'combined-11', 'key is not for this role' ],
);

my %options = (
    plain => '',
    entry => 'role="entry" ',
    reverse => 'role="reverse" ',
    both => 'role="entry|reverse" ',
    groups => 'group="a,b*" ',
    near => 'from="10.0.0.0/8,127.0.0.0/8" ',
    far => 'from="10.0.0.0/8,::1,127.0.0.2" ',
    young => 'expiry-time="20990101" ',
    old => 'expiry-time="202001012359" ',
    combined => 'role="entry",group="x",from="127.0.0.1",'
        . 'expiry-time="209901010000" ',
);

relay_conf($relay, 8080);

$entry->write_file_expand('nginx.conf', <<'EOC' . entries() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC' . reverses() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8080;
    }

EOC

trp_cert($relay, $entry, $reverse);

my $authorized = "# keys of the test\n\n";

for my $name (sort(keys %options), 'stranger') {
    my $line = trp_keys($entry, $name);
    $authorized .= "$options{$name}$line\n" if exists $options{$name};

    $reverse->write_file($name, $entry->read_file($name));
    chmod 0600, $reverse->testdir() . "/$name";
}

$relay->write_file('authorized_keys', $authorized);

$relay->run();
$reverse->run();
$entry->run()->plan(@entries + @reverses + 4 + 4);

check($relay, 'entry', @$_) for @entries;
check($relay, 'reverse', @$_) for @reverses;

# the agents hear that, and no more

for my $agent ($entry, $reverse) {
    my $bad = grep { $_->[3] } $agent == $entry ? @entries : @reverses;

    ok(wait_log($agent,
        qr/\[error\].* relay reports "not authorized".*, key: SHA256:/,
        count => $bad), 'agent is told');
}

is(count_log($_, qr/expired|for this|in the auth/), 0, 'but not why')
    for $entry, $reverse;


sub check {
    my ($t, $role, $key, $group, $name, $reason) = @_;

    ok(wait_log($t, $reason
        ? qr/\[warn\].* "$name" for group "$group" is not authorized: $reason/
        : qr/\[info\].* $role "$name" \($key\) has a tunnel in group "$group"/),
        "$role $name: " . ($reason || 'ok'));
}


sub entries {
    return join '', map { my ($key, $group, $name) = @$_; <<"EOC" } @entries;
    upstream $name {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key $key;
        trp_entry_group $group;
        trp_entry_name $name;
        trp_entry_pool idle=1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

EOC
}


sub reverses {
    return join '', map { my ($key, $group, $name) = @$_; <<"EOC" } @reverses;
    server {
        trp_reverse relay;
        trp_reverse_key $key;
        trp_reverse_group $group;
        trp_reverse_name $name;
        trp_reverse_pool idle=1;
        return ok;
    }

EOC
}
