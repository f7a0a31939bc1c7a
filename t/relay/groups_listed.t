#!/usr/bin/perl

# A user whose group has no reverse: the relay's log says which groups have one,
# of all workers, and not at length; so does that of a hub.  The entry hears
# nothing of them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $entry = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log error;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 100ms;
        trp_relay_heartbeat 1h;
        trp_authorized_keys authorized_keys;
    }

    upstream hub {
        trp_entry local;
        trp_entry_group offize;
    }

    server {
        trp_route %%PORT_8081%%:80 bind=127.0.0.1;
        proxy_pass hub;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log error;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key any;
        trp_entry_group offize;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:80 bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry);
$relay->write_file('authorized_keys', trp_keys($entry, 'any') . "\n");

my $key = $entry->testdir() . '/any';
my @agents;

$relay->run();
$entry->run()->plan(5 + 2);

# nobody at all

like(listed(8080, 1), qr/group "offize" was there for .* \(no group has one\)/,
    'none anywhere');

# a few, of both workers: slots are odd and even

agent('reverse', $_) for qw/ home office lab work /;
agent('entry', 'entries');

is(names(8080, 2), 'home lab office work', 'groups with a reverse');

is(names(8081, 3), 'home lab office work', 'log of the hub');

# many

agent('reverse', 'long-name-of-a-group-' . ('x' x 40) . $_) for 1 .. 4;

like(listed(8080, 4), qr/with a reverse: (?:"[\w-]+"(?:, | and )){2,7}\d more\)/,
    'not all of them');

# not what others have is told to an agent

is(count_log($entry, qr/office/), 0, 'log of the entry');


sub agent {
    my ($role, $group) = @_;

    my $c = Test::Nginx::TRP::Client->new(port => port(8443),
        alpn => [ 'trp/2', sprintf 'trp-slot/%02d', slot_of($group) ]);

    my $ready = $c->login(key => $key, role => $role, group => $group);
    die "$role of $group is not ready\n" if $ready->{type} ne 'READY';

    push @agents, $c;
}


# users come until there is another line with groups, at most one a second

sub listed {
    my ($port, $n) = @_;
    my $re = qr/no reverse.* was there.* \((?:no group|groups)/;

    wait_for(sub {
        end_of(connect_to(port($port)));
        return count_log($relay, $re) >= $n;
    });

    my @lines = grep { $_ =~ $re } split /\n/, $relay->read_file('error.log');
    return $lines[$n - 1] || 'no such line';
}


sub names {
    my ($port, $n) = @_;
    my ($names) = listed($port, $n) =~ /\(groups with a reverse: ([^)]*)\)/;

    return join ' ', sort defined $names ? $names =~ /"(.*?)"/g : 'none';
}
