#!/usr/bin/perl

# Tests for configurations of agents that reach their relay by WebSockets.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::AgentSettings;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# P is "trp_entry_websocket" and "trp_reverse_websocket", with _ssl_verify:
# trp_entry_websocket_ssl_verify, trp_reverse_websocket_ssl_verify

my @good = (
    'P off;',
    'P ws://127.0.0.1:80/a/b?c=d;',
    'P ws://[::1]:8080;',
    'P WS://localhost/;',
    'P wss://www.example.org/trp; P_ssl_verify off;',
    'P /trp; P_ssl_trusted_certificate localhost.crt;',
    'P /%20x; P_ssl_trusted_certificate localhost.crt;',
);

# each of them

my %all = (
    trp_entry_websocket => <<'EOC',
        trp_entry_websocket wss://[::1]:8443/trp;
        trp_entry_websocket_ssl_trusted_certificate localhost.crt;
        trp_entry_websocket_ssl_verify_depth 2;
        trp_entry_websocket_ssl_name www.example.org;
        trp_entry_websocket_ssl_server_name off;
        trp_entry_websocket_ssl_session_reuse off;
        trp_entry_websocket_ssl_protocols TLSv1.3;
        trp_entry_websocket_ssl_ciphers HIGH;
        trp_entry_websocket_ssl_certificate localhost.crt;
        trp_entry_websocket_ssl_certificate_key localhost.key;
        trp_entry_websocket_ssl_password_file passwords;
        trp_entry_websocket_ssl_crl ca.crl;
        trp_entry_websocket_ssl_conf_command Options PrioritizeChaCha;
EOC
    trp_reverse_websocket => <<'EOC',
        trp_reverse_websocket wss://[::1]:8443/trp;
        trp_reverse_websocket_ssl_trusted_certificate localhost.crt;
        trp_reverse_websocket_ssl_verify_depth 2;
        trp_reverse_websocket_ssl_name www.example.org;
        trp_reverse_websocket_ssl_server_name off;
        trp_reverse_websocket_ssl_session_reuse off;
        trp_reverse_websocket_ssl_protocols TLSv1.3;
        trp_reverse_websocket_ssl_ciphers HIGH;
        trp_reverse_websocket_ssl_certificate localhost.crt;
        trp_reverse_websocket_ssl_certificate_key localhost.key;
        trp_reverse_websocket_ssl_password_file passwords;
        trp_reverse_websocket_ssl_crl ca.crl;
        trp_reverse_websocket_ssl_conf_command Options PrioritizeChaCha;
EOC
);

my @bad = (
    [ 'P /trp;', qr/no "P_ssl_trusted_certificate" is defined/ ],
    [ 'P wss://a/trp;', qr/no "P_ssl_trusted_certificate" is defined/ ],
    [ 'P trp;', qr/invalid value "trp" in "P", write/ ],
    [ 'P http://127.0.0.1/;', qr/invalid value .* in "P", write/ ],
    [ 'P "";', qr/invalid value "" in "P", write/ ],
    [ 'P ws://;', qr/no host in "P ws/ ],
    [ 'P ws://127.0.0.1:x/;', qr/invalid port in "P / ],
    [ 'P ws://unix:/x;', qr/in "P ws/ ],
    [ 'P "/a b";', qr/invalid path "\/a b" in "P"/ ],
    [ 'P "/a#b";', qr/invalid path / ],
    [ 'P "ws://127.0.0.1/a b";', qr/invalid path / ],
    [ 'P ws://127.0.0.1; P off;', qr/duplicate/ ],
);

plan(tests => 2 * @good + 2 * @bad + 2 + 2);

trp_cert($t);
trp_keys($t, 'key');
trp_ca($t, 'ca');
trp_crl($t, 'ca');

$t->write_file('passwords', "secret\n");

test_agent_settings($t, 'websocket', \%all, \@good, \@bad);
