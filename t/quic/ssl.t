#!/usr/bin/perl

# "ssl_verify_client" holds for agents on QUIC as it does for those on TCP.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

# relay, certificate of the agent, what the relay says if it is not content,
# and the agent

my $required = 'client sent no required SSL certificate';
my $error = 'client SSL certificate verify error: \(2[01]:unable to';

my @tests = (
    [ 'none', 8443, undef, $required, 'certificate required' ],
    [ 'good', 8443, 'agent' ],
    [ 'bad', 8443, 'stranger', $error, 'certificate not accepted' ],
    [ 'optional-none', 8444 ],
    [ 'optional-good', 8444, 'agent' ],
    [ 'optional-bad', 8444, 'stranger', $error, 'certificate not accepted' ],
    [ 'no-ca-bad', 8445, 'stranger' ],
);

my @modes = ([ 8443, 'on' ], [ 8444, 'optional' ], [ 8445, 'optional_no_ca' ]);

$relay->write_file_expand('nginx.conf', <<'EOC' . servers() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    trp_authorized_keys authorized_keys;
    ssl_protocols TLSv1.3;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_client_certificate ca.crt;

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC' . agents() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    trp_reverse_key key;
    trp_reverse_quic on;
    trp_reverse_ssl_trusted_certificate localhost.crt;

EOC

trp_cert($relay, $reverse);
trp_ca($relay, $_) for qw/ ca other /;
trp_issue($relay, 'ca', 'agent');
trp_issue($relay, 'other', 'stranger');

$relay->write_file('authorized_keys', join "\n", trp_keys($reverse, 'key'),
    '');

$reverse->write_file($_, $relay->read_file($_))
    for qw/ agent.crt agent.key stranger.crt stranger.key /;

$relay->run();
$reverse->run()->plan(@tests + 3 + 2 + 2);

for my $test (@tests) {
    my ($name, undef, undef, undef, $told) = @$test;
    my $ready = qr/ tunnel is ready.* group: "$name"/;

    if ($told) {
        ok(wait_log($reverse,
            qr/\[error\].* closed connection: $told.* group: "$name"/),
            "$name: told");
        is(count_log($reverse, $ready), 0, "$name: no tunnel");

    } else {
        ok(wait_log($reverse, $ready), "$name: tunnel");
    }
}

ok(count_log($relay, qr/$_/), $_) for $required, $error;


sub servers {
    return join '', map { <<"EOC" } @modes;
    server {
        listen 127.0.0.1:%%PORT_$_->[0]_UDP%% udp reuseport;
        trp_relay;
        ssl_verify_client $_->[1];
    }

EOC
}


sub agents {
    return join '', map { agent(@$_) } @tests;
}


sub agent {
    my ($name, $port, $certificate) = @_;

    my $ssl = $certificate
        ? "trp_reverse_ssl_certificate $certificate.crt;\n        "
            . "trp_reverse_ssl_certificate_key $certificate.key;" : '';

    return <<"EOC";
    upstream $name {
        server 127.0.0.1:%%PORT_${port}_UDP%%;
    }

    server {
        trp_reverse $name;
        trp_reverse_group $name;
        return ok;
        $ssl
    }

EOC
}
