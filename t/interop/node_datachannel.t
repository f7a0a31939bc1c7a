#!/usr/bin/perl

# Tests for STUN/TURN: WebRTC in node with node-datachannel, over UDP.  The
# TURN client in it, libjuice, gets the offer of SHA-256 and declines it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ hmac_sha1_base64 /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebRTC;

my $missing = node_missing('node-datachannel');
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream /)->plan(7);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$protocol $trp_turn_username '
                    '$trp_turn_bytes_to_peers $trp_turn_bytes_from_peers';

    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:%%PORT_8980_UDP%% udp reuseport;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
        trp_turn_secret north;
    }
}

EOC

$t->run();

my $url = 'turn:127.0.0.1:' . port(8980);
my $name = time() + 3600 . ':alice';
my $digest = hmac_sha1_base64($name, 'north');
my $password = $digest . '=' x (-length($digest) % 4);

my @all = ('201 messages, 466944 bytes') x 2;

for my $case ([ 'user', 'password' ], [ $name, $password ]) {
    my $result = node_relay($t, 'node-datachannel/polyfill', url => $url,
        username => encoded($case->[0]), password => encoded($case->[1]));

    is($result->{state}, 'complete', "$case->[0], state");
    is_deeply($result->{received}, \@all, "$case->[0], received");
}

my $result = node_relay($t, 'node-datachannel/polyfill', url => $url,
    username => 'user', password => 'wrong', timeout => 3);

isnt($result->{state}, 'complete', 'wrong password');

# This client ends with its allocations open.  It finds its other half by a
# relayed candidate, as it is told no other; it may then find a direct way.

$t->stop();

for my $username ('user', $name) {
    my @bytes = $t->read_file('turn.log') =~ /^UDP \Q$username\E (\d+ \d+)$/mg;

    ok(@bytes == 2 && grep({ $_ ne '0 0' } @bytes), "$username, access log");
}


# this library puts names and passwords into a URL

sub encoded {
    return $_[0] =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger;
}
