#!/usr/bin/perl

# What the rows of a relay say fits together when all is quiet, whoever has
# accepted the users: an entry's, users of this nginx in the group's worker, and
# those that come there through a tunnel between workers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http map /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

status_relay_conf($relay, workers => 4, events => 'accept_mutex off;',
    stream => <<'EOC2');
    map $remote_addr $named {
        default 0;
    }

    upstream hub {
        trp_entry local;
    }

    upstream named {
        trp_entry local;
        trp_entry_group $named;
    }

    proxy_half_close on;

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1 reuseport;
        trp_route %%PORT_8082%%:%%PORT_8091%% bind=127.0.0.1 reuseport;
        proxy_pass hub;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1 reuseport;
        trp_route %%PORT_8083%%:%%PORT_8091%% bind=127.0.0.1 reuseport;
        proxy_pass named;
    }
EOC2

reverse_conf($reverse, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC2');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_name door;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    server {
        trp_route %%PORT_8084%%:%%PORT_8090%%;
        trp_route %%PORT_8085%%:%%PORT_8091%%;
        proxy_pass relay;
    }
}

EOC2

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$relay->run()->plan(20 + 4);
$reverse->run();
$entry->run();

row_is('agents', { role => 'reverse', up => 1 });
row_is('agents', { role => 'entry', up => 1 });

my ($users, $n) = (0, 0);

for my $i (1 .. 12) {
    for my $port (8080, 8081, 8084) {
        my $s = stream('127.0.0.1:' . port($port));
        my $text = 'x' x (1000 + $i);

        $users++ if $s->io($text, length => length $text) eq $text;
        $n += length $text;
    }

    refused($_) for 8082, 8083, 8085;
}

is($users, 36, 'users');

agrees('quiet');

# the old worker of the group has an entry and a reverse for one stream, the new
# one has their other tunnels

my $s = stream('127.0.0.1:' . port(8084));
is($s->io('x' x 1000, length => 1000), 'x' x 1000, 'stream');
$n += 1000;
$users++;

reload_and_wait($relay);

ok(row_is('agents', { role => $_, up => 1 }), "$_ is up")
    for qw/ entry reverse /;
ok(row_is('groups', { streams => 1, entries => 1, reverses => 1 }),
    'no agent counts twice in its group during a reload');

undef $s;

ok(row_is('groups', { streams => 0 }), 'it ends');

agrees('after a reload');


sub refused {
    my ($port) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port($port));

    # it may be reset before it is there

    $s->sysread(my $buf, 1) if $s;
}


sub agrees {
    my ($what) = @_;

    my ($server, $group, $r, $e);

    # the relay's own row is brought up to date once a second

    wait_for(sub {
        my $status = status();

        ($server) = @{$status->{servers}};
        ($group) = @{$status->{groups}};
        ($r, $e) = sort { $b->{role} cmp $a->{role} } @{$status->{agents}};

        return $server->{streams} == 0 && $r->{idle} == $r->{tunnels}
            && $server->{received_bytes_total} == $n
            && $server->{tunnels} == $r->{tunnels} + $e->{tunnels};
    });

    is($server->{received_bytes_total}, $n, "$what: received");
    is($r->{sent_bytes_total}, $n, "$what: sent to the reverse");
    is($server->{sent_bytes_total}, $r->{received_bytes_total},
        "$what: sent");
    is($group->{streams_total}, $users + 36, "$what: streams of the group");
    is($server->{streams_total}, $users + 36, "$what: streams of the relay");
    is($group->{refused_streams_total}{refused}, 36, "$what: refused");
    is($server->{tunnels}, $r->{tunnels} + $e->{tunnels}, "$what: tunnels");
}
