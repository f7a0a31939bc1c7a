#!/usr/bin/perl

# Tests for configurations of agents that reach their relay through a TURN
# server.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::AgentSettings;
use Test::Nginx::TRP::QUIC;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $missing = quic_missing();

# P is "trp_entry_turn" and "trp_reverse_turn", with _user, and _secret:
# trp_entry_turn_secret, trp_reverse_turn_secret, trp_entry_turn_ssl_verify,
# trp_reverse_turn_ssl_verify

my @good = (
    'P 127.0.0.1; P_user alice:secret;',
    'P tcp 127.0.0.1:3478; P_secret north alice;',
    'P tls 127.0.0.1; P_user alice:secret; P_ssl_verify off;',
    $missing ? () : (
        'P udp 127.0.0.1; P_user alice:secret;',
        'P udp [::1]:3479; P_secret north alice;',
    ),
);

# each of them

my %all = (
    trp_entry_turn => <<'EOC',
        trp_entry_turn tls [::1]:5349;
        trp_entry_turn_user alice:secret;
        trp_entry_turn_ssl_trusted_certificate localhost.crt;
        trp_entry_turn_ssl_verify_depth 2;
        trp_entry_turn_ssl_name turn.example.org;
        trp_entry_turn_ssl_server_name off;
        trp_entry_turn_ssl_session_reuse off;
        trp_entry_turn_ssl_protocols TLSv1.3;
        trp_entry_turn_ssl_ciphers HIGH;
        trp_entry_turn_ssl_certificate localhost.crt;
        trp_entry_turn_ssl_certificate_key localhost.key;
        trp_entry_turn_ssl_password_file passwords;
        trp_entry_turn_ssl_crl ca.crl;
        trp_entry_turn_ssl_conf_command Options PrioritizeChaCha;
EOC
    trp_reverse_turn => <<'EOC',
        trp_reverse_turn tls [::1]:5349;
        trp_reverse_turn_user alice:secret;
        trp_reverse_turn_ssl_trusted_certificate localhost.crt;
        trp_reverse_turn_ssl_verify_depth 2;
        trp_reverse_turn_ssl_name turn.example.org;
        trp_reverse_turn_ssl_server_name off;
        trp_reverse_turn_ssl_session_reuse off;
        trp_reverse_turn_ssl_protocols TLSv1.3;
        trp_reverse_turn_ssl_ciphers HIGH;
        trp_reverse_turn_ssl_certificate localhost.crt;
        trp_reverse_turn_ssl_certificate_key localhost.key;
        trp_reverse_turn_ssl_password_file passwords;
        trp_reverse_turn_ssl_crl ca.crl;
        trp_reverse_turn_ssl_conf_command Options PrioritizeChaCha;
EOC
);

my @bad = (
    [ 'P 127.0.0.1;', qr/no "P_user" and no "P_secret" is defined/ ],
    [ 'P dtls 127.0.0.1; P_user alice:secret;',
        qr/invalid transport "dtls" in "[a-z_]+", write "udp", "tcp" or "tls"/ ],
    [ 'P udp 127.0.0.1;', $missing ? qr/"P udp" needs QUIC/
        : qr/no "P_user" and no "P_secret" is defined/ ],
    [ 'P unix:/x; P_user alice:secret;', qr/no address in "P unix/ ],
    [ 'P 127.0.0.1:x; P_user alice:secret;', qr/invalid port in "P / ],
    [ 'P tls 127.0.0.1; P_user alice:secret;',
        qr/no "P_ssl_trusted_certificate" is defined/ ],
    [ 'P 127.0.0.1; P 127.0.0.1; P_user alice:secret;', qr/duplicate/ ],
);

plan(tests => 2 * @good + 2 * @bad + 2 + 2);

trp_cert($t);
trp_keys($t, 'key');
trp_ca($t, 'ca');
trp_crl($t, 'ca');

$t->write_file('passwords', "secret\n");

test_agent_settings($t, 'turn', \%all, \@good, \@bad);
