#!/usr/bin/perl

# Tests for longer chains of certificates, wherever trp is a TLS client: leaf,
# intermediate, and a root that an older one has signed.  Which of them is
# trusted does not matter; a chain that is too long is said to be that.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);
my $agents = Test::Nginx->new();

# name, settings behind "…_ssl_", and what is said if it is refused

my $long = '\(22:certificate chain too long\), it is longer than '
    . '"%s_ssl_verify_depth %d" allows, expected name "127\.0\.0\.1"';

my @tests = (
    [ 'old-root', 'trusted_certificate old.crt' ],
    [ 'new-root', 'trusted_certificate root.crt' ],
    [ 'cross', 'trusted_certificate cross.crt' ],
    [ 'intermediate', 'trusted_certificate middle.crt' ],
    [ 'leaf', 'trusted_certificate leaf.crt' ],
    [ 'sent', 'trusted_certificate chain.crt' ],
    [ 'depth-2', 'trusted_certificate old.crt verify_depth 2' ],
    [ 'depth-1', 'trusted_certificate old.crt verify_depth 1',
        sprintf $long, '%s', 1 ],
    [ 'depth-0', 'trusted_certificate root.crt verify_depth 0',
        sprintf $long, '%s', 0 ],
    [ 'other', 'trusted_certificate other.crt',
        '\(2[01]?:unable to (?:get|verify)' ],
    [ 'other-leaf', 'trusted_certificate another.crt',
        '\(2[01]?:unable to (?:get|verify)' ],
    [ 'crl', 'trusted_certificate middle.crt crl middle.crl' ],
    [ 'crl-both', 'trusted_certificate both.crt crl all.crl' ],
    [ 'crl-none', 'trusted_certificate old.crt crl middle.crl',
        '\(3:unable to get certificate CRL\)' ],
    [ 'revoked', 'trusted_certificate middle.crt crl revoked.crl', '\(23:' ],
    [ 'revoked-middle', 'trusted_certificate both.crt crl revoked-middle.crl',
        '\(23:' ],
);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    ssl_protocols TLSv1.3;
    ssl_certificate chain.crt;
    ssl_certificate_key leaf.key;

    server {
        listen 127.0.0.1:8443 ssl;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    server {
        listen 127.0.0.1:8479 ssl;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.1;
        trp_turn_tcp_allocations on;
    }
}

EOC

trp_ca($relay, $_) for qw/ old root other /;
trp_issue($relay, 'old', 'cross', for => 'root');
trp_issue($relay, 'root', 'middle', authority => 1);
trp_issue($relay, 'middle', 'leaf', names => 'IP:127.0.0.1,DNS:localhost');
trp_issue($relay, 'other', 'another', names => 'IP:127.0.0.1');

join_files('chain.crt', qw/ leaf.crt middle.crt cross.crt /);
join_files('both.crt', qw/ middle.crt root.crt /);

trp_crl($relay, 'middle', 'leaf');
join_files('revoked.crl', 'middle.crl');
trp_crl($relay, 'middle');
trp_crl($relay, 'root', 'middle');
join_files('revoked-middle.crl', qw/ middle.crl root.crl /);
trp_crl($relay, 'root');
join_files('all.crl', qw/ middle.crl root.crl /);

$agents->write_file($_, $relay->read_file($_))
    for map { s!.*/!!r } glob $relay->testdir() . '/*.cr[tl]';
$agents->write_file('chain.key', $relay->read_file('leaf.key'));

$relay->write_file('authorized_keys', trp_keys($agents, 'auth') . "\n");
$agents->write_file('token', 'token');
chmod 0600, $agents->testdir() . '/token';

my $servers = join '', map { agents_of($tests[$_], $_) } 0 .. $#tests;

$agents->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_reverse_pool idle=1;

    upstream relay {
        server 127.0.0.1:8443;
    }

$servers
    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal wss://127.0.0.1:%%PORT_8081%%;
        trp_turn_portal_token_file token;
        trp_turn_portal_trusted_certificate leaf.crt;
    }
}

EOC

my $portal = Test::Nginx::TRP::Portal->new($agents, port(8081),
    ssl => 'chain');

serve($agents, port(8090), 'echo');

$relay->run();
$agents->run()->plan(5 * @tests + 1 + 2);

for my $i (0 .. $#tests) {
    my ($name, undef, $error) = @{$tests[$i]};

    for my $role (qw/ entry reverse /) {
        is(seen("trp_$role", 'relay', "$role-$name", $error), 1,
            "$role: $name");
    }

    for my $role (qw/ entry reverse /) {
        is(seen("trp_${role}_turn", 'TURN server', "$role-turn-$name", $error),
            1, "$role, through TURN: $name");
    }

    my $c = socks(port(8100 + $i), '127.0.0.1:' . port(8090));
    is($c->rep(), $error ? 1 : 0, "TURN client: $name");
}

ok(wait_log($agents, qr/portal sent "init"/), 'portal');


# The agents of a test are known by their groups; behind a TURN server the one
# that is refused has no tunnel, and its address is the TURN server's.

sub seen {
    my ($prefix, $peer, $group, $error) = @_;

    return wait_log($agents, qr/\[info\].* tunnel is ready.*"$group"/)
        if !$error;

    my $re = $error =~ s/%s/$prefix/r;
    my $of = $peer eq 'relay' ? qr/.*group: "$group"/ : qr//;

    return wait_log($agents, qr/\[error\].*$peer SSL certificate.*$re$of/)
        && !count_log($agents, qr/tunnel is ready.*"$group"/) ? 1 : 0;
}


sub agents_of {
    my ($test, $i) = @_;
    my ($name, $settings) = @$test;
    my $text = '';

    for my $way ('', 'turn-') {
        my ($entry, $reverse) = map {
            ("${_}_key auth; ${_}_group " . s/trp_//r . "-$way$name;\n")
                . ($way ? "${_}_turn tls 127.0.0.1:%%PORT_8479%%;\n"
                    . "${_}_turn_user alice:secret;\n"
                    . "${_}_ssl_trusted_certificate leaf.crt;\n"
                    . settings("${_}_turn", $settings)
                : settings($_, $settings))
        } qw/ trp_entry trp_reverse /;

        $text .= <<"EOC";
    upstream entry-$way$name {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_pool idle=1;
$entry    }

    server {
        trp_reverse relay;
        return ok;
$reverse    }

EOC
    }

    my $client = settings('trp_turn_client', $settings);

    return $text . <<"EOC";
    upstream turn-$name {
        server 127.0.0.1:%%PORT_8479%%;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
$client    }

    server {
        listen 127.0.0.1:%%PORT_@{[8100 + $i]}%%;
        trp_socks5;
        proxy_pass turn-$name;
    }

EOC
}


# directives from pairs of name and value

sub settings {
    my ($prefix, $text) = @_;
    my %settings = split / /, $text;

    return join '', map { "${prefix}_ssl_$_ $settings{$_};\n" }
        sort keys %settings;
}


sub join_files {
    my ($name, @parts) = @_;
    $relay->write_file($name, join '', map { $relay->read_file($_) } @parts);
}
