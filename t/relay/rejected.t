#!/usr/bin/perl

# Agents that reject the certificate of a relay: the relay says so, with the
# reason, as the agent does.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::SSL::Utils;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Operator;
use Test::Nginx::TRP::Programs;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http /);
my $agent = Test::Nginx->new();

# group, port of the relay, what the agent trusts, and what both say

my @tests = (
    [ 'unknown', 8443, 'trusted_certificate other.crt',
        'unable to get', 'unknown CA, see "trp_' ],
    [ 'unknown-tls12', 8444, 'trusted_certificate other.crt',
        'unable to get', 'unknown CA, see "trp_' ],
    [ 'name', 8443, 'trusted_certificate ca.crt; '
        . 'trp_reverse_ssl_name relay.example', '[hH]ostname mismatch',
        'bad certificate, it may have another name' ],
    [ 'address', 8445, 'trusted_certificate ca.crt', 'IP address mismatch',
        'bad certificate, it may have another name' ],
    [ 'revoked', 8443, 'trusted_certificate ca.crt; '
        . 'trp_reverse_ssl_crl ca.crl', 'certificate revoked',
        'certificate revoked' ],
    [ 'expired', 8446, 'trusted_certificate ca.crt',
        'certificate has expired', 'certificate expired' ],
);

my %certificates = (8443 => 'ip', 8444 => 'ip', 8445 => 'name',
    8446 => 'expired');

my $servers = join '', map { <<"EOC" } sort keys %certificates;
    server {
        listen 127.0.0.1:$_ ssl;
        ssl_certificate $certificates{$_}.crt;
        ssl_certificate_key $certificates{$_}.key;
        @{[ $_ == 8444 ? 'ssl_protocols TLSv1.2;' : '' ]}
        trp_relay;
    }
EOC

my $reverses = join '', map { <<"EOC" } @tests;
    upstream $_->[0] {
        server 127.0.0.1:$_->[1];
    }

    server {
        trp_reverse $_->[0];
        trp_reverse_group $_->[0];
        trp_reverse_ssl_$_->[2];
        return ok;
    }
EOC

my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

EOC

my $http = <<'EOC';
http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8099;

        location /trp/ {
            trp_status;
        }
    }
}

EOC

$relay->write_file_expand('nginx.conf',
    $head =~ s/(?=stream)/$http/r . <<"EOC");
    trp_authorized_keys authorized_keys;

$servers
}
EOC

$agent->write_file_expand('nginx.conf', $head . <<"EOC");
    trp_reverse_key any;

$reverses
}
EOC

trp_ca($relay, $_) for qw/ ca other /;
trp_issue($relay, 'ca', 'ip', names => 'IP:127.0.0.1');
trp_issue($relay, 'ca', 'name', names => 'DNS:relay.example');
trp_crl($relay, 'ca', 'ip');

my $dir = $relay->testdir();

my ($expired, $key) = CERT_create(
    subject => { commonName => 'expired' },
    subjectAltNames => [ [ IP => '127.0.0.1' ] ],
    not_before => time() - 86400 * 30,
    not_after => time() - 86400,
    issuer => [ PEM_file2cert("$dir/ca.crt"), PEM_file2key("$dir/ca.key") ]);

PEM_cert2file($expired, "$dir/expired.crt");
PEM_key2file($key, "$dir/expired.key");

$agent->write_file($_, $relay->read_file($_)) for qw/ ca.crt ca.crl other.crt /;
$relay->write_file('authorized_keys', trp_keys($agent, 'any'));

$relay->run();
$agent->run();
$relay->plan(3 * @tests + 2 * keys(%certificates) + 6 + 2);

my $rejected = 'rejected the certificate of this relay';

for my $test (@tests) {
    my ($group, $port, undef, $here, $there) = @$test;

    ok(wait_log($agent, qr/\[error\].* verify error: .*$here.* "$group"/),
        "$group: the agent");
    ok(wait_log($relay,
            qr/\[warn\].* agent $rejected: $there.*, client: 127\.0\.0\.1,/),
        "$group: the relay");
    ok(!count_log($agent, qr/tunnel is ready.* group: "$group"/),
        "$group: no tunnel");
}

# agents dial again

wait_log($relay, qr/\[info\].* agent $rejected/);
is(count_log($relay, qr/\[warn\].* agent $rejected/), scalar @tests,
    'one warning each');

for my $port (sort keys %certificates) {
    my $row = row_is('servers', { listen => '127.0.0.1:' . port($port),
        rejected_certificates_total => sub { $_[0] > 0 } });
    ok($row, "counted: $certificates{$port}");
    ok(!$row->{refused_agents_total}{protocol}, 'and not as a stranger');
}

is(count_log($agent, qr/\[(?:crit|alert)\]/), 0, 'nothing is critical');
is(count_log($agent, qr/\[error\].*SSL_do_handshake/), 0, 'one error each');

# what is no agent

output({ err => 1 }, qw/ openssl s_client -verify_return_error -CAfile /,
    "$dir/other.crt", '-connect', '127.0.0.1:' . port(8443));

ok(row_is('servers', { listen => '127.0.0.1:' . port(8443),
    refused_agents_total => sub { $_[0]{protocol} } }), 'counted as such');
ok(wait_log($relay, qr/ client $rejected: unknown CA/), 'a stranger');
is(count_log($relay, qr/\[(?:warn|error|crit)\].* client $rejected/), 0,
    'is nothing to warn of');
