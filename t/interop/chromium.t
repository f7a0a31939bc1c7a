#!/usr/bin/perl

# Tests for STUN/TURN: WebRTC in Chromium, with relayed candidates only.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ hmac_sha1_base64 /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebRTC;

my $missing = browser_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->plan(24);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$protocol $trp_turn_username $trp_turn_relayed_addr '
                    '$trp_turn_bytes_to_peers $trp_turn_bytes_from_peers';

    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:%%PORT_8980_UDP%% udp reuseport;
        listen 127.0.0.1:8981;
        listen 127.0.0.1:8982 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
        trp_turn_secret north;
        trp_turn_secret south;
    }
}

EOC

trp_cert($t);
$t->run();

my $browser = browser($t, port(8990), accept => 'localhost.crt');

my %url = (
    udp => 'turn:127.0.0.1:' . port(8980),
    tcp => 'turn:127.0.0.1:' . port(8981) . '?transport=tcp',
    tls => 'turns:127.0.0.1:' . port(8982),
);

my @all = ('201 messages, 466944 bytes') x 2;

for my $transport (qw/ udp tcp tls /) {
    my $result = $browser->relay(url => $url{$transport},
        username => 'user', password => 'password');

    is($result->{state}, 'complete', "$transport, state");
    is_deeply($result->{received}, \@all, "$transport, received");
    is_deeply($result->{pairs}, [ ("relay $transport relay") x 2 ],
        "$transport, candidates");
    ok(logged($t, $transport, 'user', $transport eq 'tls' ? 4 : 2),
        "$transport, access log");
}

# time-limited credentials

my $name = time() + 3600;

for my $case ([ 'udp', $name, 'north' ], [ 'tcp', "$name:alice", 'south' ],
    [ 'tls', "$name:bob", 'north' ])
{
    my ($transport, $username, $secret) = @$case;

    my $result = $browser->relay(url => $url{$transport},
        username => $username, password => rest($username, $secret));

    is("$result->{state} @{$result->{pairs}}",
        "complete relay $transport relay relay $transport relay",
        "$transport, secret");
    ok(logged($t, $transport, $username, 2), "$transport, secret, log");
}

# refused

for my $case (
    [ 'wrong password', 'user', 'wrong' ],
    [ 'unknown user', 'nobody', 'password' ],
    [ 'expired', 1700000000, rest(1700000000, 'north') ],
    [ 'unknown secret', $name, rest($name, 'east') ])
{
    my ($what, $username, $password) = @$case;

    my $result = $browser->relay(url => $url{udp},
        username => $username, password => $password);

    like("$result->{state}: @{$result->{errors}}", qr/^no candidates: 401 /,
        $what);
}

is(count_log($t, qr/^\S+ (?:nobody|1700000000) /, file => 'turn.log'), 0,
    'no allocation');

# browsers look at certificates

my $other = browser($t, port(8991));

my $result = $other->relay(url => $url{tls}, username => 'user',
    password => 'password');

like("$result->{state}: @{$result->{errors}}", qr/^no candidates: 701 /,
    'untrusted certificate');


# password for a username, as an application makes it

sub rest {
    my ($username, $secret) = @_;
    my $digest = hmac_sha1_base64($username, $secret);

    return $digest . '=' x (-length($digest) % 4);
}


# allocations that have relayed all bytes, both ways

sub logged {
    my ($t, $transport, $username, $count) = @_;
    my $protocol = $transport eq 'udp' ? 'UDP' : 'TCP';
    my $re = qr/^$protocol \Q$username\E 127\.0\.0\.1:\d+ (\d+) (\d+)$/;

    return wait_for(sub {
        my @lines = grep { /$re/ && $1 >= 466944 && $2 >= 466944 }
            split /\n/, $t->read_file('turn.log');
        return @lines == $count;
    });
}
