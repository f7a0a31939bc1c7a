#!/usr/bin/perl

# Tests for TLS between agents and the relay: who trusts whom.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# relay, settings behind "trp_entry_ssl_" or "trp_reverse_ssl_", and what an
# agent says if it is not content

my $verify = 'relay SSL certificate verify error: ';
my $ca = 'trusted_certificate ca.crt';

my @tests = (
    [ 'own', '8080', 'trusted_certificate localhost.crt' ],
    [ 'other-ca', '8081', 'trusted_certificate other.crt',
        "$verify\\(2[01]:unable to .* certificate\\)" ],
    [ 'ca', '8081', $ca ],
    [ 'no-ip', '8082', $ca, "$verify\\(64:IP address mismatch\\), "
        . 'expected name "127\.0\.0\.1"' ],
    [ 'name', '8082', "$ca name relay.example" ],
    [ 'other-name', '8082', "$ca name relay.example.org",
        "$verify\\(62:[hH]ostname mismatch\\), expected name "
        . '"relay\.example\.org"' ],
    [ 'wildcard', '8082', "$ca name a.wild.example" ],
    [ 'localhost', 'localhost:8083', $ca ],
    [ 'not-localhost', 'localhost:8082', $ca,
        "$verify\\(62:[hH]ostname mismatch\\), expected name \"localhost\"" ],
    [ 'off', '8082', 'verify off' ],
    [ 'revoked', '8081', "$ca crl ca.crl", "$verify\\(23:" ],

    [ 'tls12', '8084', $ca ],
    [ 'tls13', '8081', "$ca protocols TLSv1.3" ],
    [ 'only-tls13', '8084', "$ca protocols TLSv1.3",
        'SSL_do_handshake\(\) failed' ],
    [ 'set-tls12', '8081', "$ca protocols TLSv1.2" ],
    [ 'only-tls12', '8085', "$ca protocols TLSv1.2",
        'SSL_do_handshake\(\) failed' ],

    [ 'mutual', '8085', "$ca certificate agent.crt certificate_key agent.key" ],
    [ 'no-certificate', '8085', $ca, undef,
        'client sent no required SSL certificate' ],
    [ 'bad-certificate', '8085',
        "$ca certificate stranger.crt certificate_key stranger.key", undef,
        'client SSL certificate verify error: \(2[01]:unable to' ],

    [ 'no-relay', '8086', "$ca name relay.example",
        'server does not speak trp\/2: is it a relay\?' ],
    [ 'no-relay-no-sni', '8086', "$ca name relay.example server_name off",
        'server does not speak trp\/2: is it a relay\?' ],
    [ 'no-tls', '8087', $ca,
        'server does not speak TLS, it begins with "hello": is it a relay\?' ],
);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format name "[$ssl_server_name]";

    trp_authorized_keys authorized_keys;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ip.crt;
    ssl_certificate_key ip.key;

    server {
        listen 127.0.0.1:8080 ssl;
        trp_relay;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
    }

    server {
        listen 127.0.0.1:8081 ssl;
        trp_relay;
    }

    server {
        listen 127.0.0.1:8082 ssl;
        trp_relay;
        ssl_certificate name.crt;
        ssl_certificate_key name.key;
    }

    server {
        listen 127.0.0.1:8083 ssl;
        trp_relay;
        ssl_certificate local.crt;
        ssl_certificate_key local.key;
    }

    server {
        listen 127.0.0.1:8084 ssl;
        trp_relay;
        ssl_protocols TLSv1.2;
    }

    server {
        listen 127.0.0.1:8085 ssl;
        trp_relay;
        ssl_protocols TLSv1.3;
        ssl_verify_client on;
        ssl_client_certificate ca.crt;
    }

    server {
        listen 127.0.0.1:8086 ssl;
        ssl_certificate name.crt;
        ssl_certificate_key name.key;
        access_log %%TESTDIR%%/access.log name;
        return ok;
    }

    server {
        listen 127.0.0.1:8087;
        return "hello, world";
    }
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

$entry->write_file_expand('nginx.conf', $head . entries() . "}\n");
$reverse->write_file_expand('nginx.conf', $head . reverses() . "}\n");

trp_cert($relay, $entry, $reverse);

trp_ca($relay, $_) for qw/ ca other /;
trp_issue($relay, 'ca', 'ip', names => 'IP:127.0.0.1');
trp_issue($relay, 'ca', 'name',
    names => 'DNS:relay.example,DNS:*.wild.example');
trp_issue($relay, 'ca', 'local', names => 'DNS:localhost');
trp_issue($relay, 'ca', 'agent');
trp_issue($relay, 'other', 'stranger');
trp_crl($relay, 'ca', 'ip');

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'auth'),
    trp_keys($reverse, 'auth'), '');

for my $agent ($entry, $reverse) {
    $agent->write_file($_, $relay->read_file($_))
        for qw/ ca.crt ca.crl other.crt agent.crt agent.key stranger.crt
            stranger.key /;
}

$relay->run();
$reverse->run();
$entry->run()->plan(4 * @tests + 2 + 4);

for my $agent ($entry, $reverse) {
    my $role = $agent == $entry ? 'entry' : 'reverse';

    for my $test (@tests) {
        my ($name, undef, undef, $error, $relay_error) = @$test;

        my $ready = qr/\[info\].* tunnel is ready.* group: "$name"/;
        my $bad = $error || $relay_error ? 1 : 0;

        ok($relay_error ? wait_log($relay, qr/$relay_error/)
            : wait_log($agent, $error ? qr/\[error\].*$error.* group: "$name"/
                : $ready), "$role: $name");

        is(count_log($agent, $ready) ? 0 : 1, $bad,
            $bad ? "$role: $name: no tunnel" : "$role: $name: tunnel");
    }
}

ok(wait_log($relay, qr/^\[relay\.example\]$/, file => 'access.log'), 'SNI');
ok(wait_log($relay, qr/^\[-?\]$/, file => 'access.log'), 'no SNI');


sub entries {
    return join '', map {
        my ($name, $server) = @$_;
        my $settings = settings('entry', @$_);

        <<"EOC" } @tests;
    upstream $name {
        server ${\address($server)};
        trp_entry;
$settings    }

EOC
}


sub reverses {
    return join '', map {
        my ($name, $server) = @$_;
        my $settings = settings('reverse', @$_);

        <<"EOC" } @tests;
    upstream $name {
        server ${\address($server)};
    }

    server {
        trp_reverse $name;
        return ok;
$settings    }

EOC
}


# the port as write_file_expand() wants it

sub address {
    my ($server) = @_;
    return $server =~ /(.+):(.+)/ ? "$1:%%PORT_$2%%" : "127.0.0.1:$server";
}


# directives from pairs of name and value

sub settings {
    my ($role, $name, undef, $text) = @_;
    my @settings = split / /, "$text";
    my $directives = "trp_${role}_group $name; trp_${role}_key auth;\n";

    while (my ($setting, $value) = splice @settings, 0, 2) {
        $directives .= "trp_${role}_ssl_$setting $value;\n";
    }

    return $directives;
}
