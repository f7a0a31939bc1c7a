#!/usr/bin/perl

# Tests for configurations of agents that reach their relay through a proxy.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::AgentSettings;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# P is "trp_entry_proxy" and "trp_reverse_proxy", with _password_file and _ssl_…:
# trp_entry_proxy_password_file, trp_reverse_proxy_password_file,
# trp_entry_proxy_ssl_verify, trp_reverse_proxy_ssl_verify

my @good = (
    'P off;',
    'P http://127.0.0.1:3128;',
    'P HTTP://[::1]:3128/;',
    'P http://proxy.example:3128;',
    'P http://alice:secret@127.0.0.1:3128;',
    'P http://alice:@127.0.0.1:3128;',
    'P http://al%69ce:se@cret%20@127.0.0.1:3128;',
    'P http://alice@127.0.0.1:3128; P_password_file passwords;',
    'P https://127.0.0.1; P_ssl_verify off;',
    'P https://127.0.0.1:444; P_ssl_trusted_certificate localhost.crt;',
    'P socks5://127.0.0.1;',
    'P socks5://a%3Ab:secret@[::1]:1081;',
);

# each of them

my %all = (
    trp_entry_proxy => <<'EOC',
        trp_entry_proxy https://alice:s%3acret@[::1]:5349/;
        trp_entry_proxy_password_file passwords;
        trp_entry_proxy_ssl_trusted_certificate localhost.crt;
        trp_entry_proxy_ssl_verify_depth 2;
        trp_entry_proxy_ssl_name proxy.example.org;
        trp_entry_proxy_ssl_server_name off;
        trp_entry_proxy_ssl_session_reuse off;
        trp_entry_proxy_ssl_protocols TLSv1.3;
        trp_entry_proxy_ssl_ciphers HIGH;
        trp_entry_proxy_ssl_certificate localhost.crt;
        trp_entry_proxy_ssl_certificate_key localhost.key;
        trp_entry_proxy_ssl_password_file passwords;
        trp_entry_proxy_ssl_crl ca.crl;
        trp_entry_proxy_ssl_conf_command Options PrioritizeChaCha;
EOC
    trp_reverse_proxy => <<'EOC',
        trp_reverse_proxy https://alice:s%3acret@[::1]:5349/;
        trp_reverse_proxy_password_file passwords;
        trp_reverse_proxy_ssl_trusted_certificate localhost.crt;
        trp_reverse_proxy_ssl_verify_depth 2;
        trp_reverse_proxy_ssl_name proxy.example.org;
        trp_reverse_proxy_ssl_server_name off;
        trp_reverse_proxy_ssl_session_reuse off;
        trp_reverse_proxy_ssl_protocols TLSv1.3;
        trp_reverse_proxy_ssl_ciphers HIGH;
        trp_reverse_proxy_ssl_certificate localhost.crt;
        trp_reverse_proxy_ssl_certificate_key localhost.key;
        trp_reverse_proxy_ssl_password_file passwords;
        trp_reverse_proxy_ssl_crl ca.crl;
        trp_reverse_proxy_ssl_conf_command Options PrioritizeChaCha;
EOC
);

my @bad = (
    [ 'P 127.0.0.1:3128;', qr/"P" directive must have the form http:/ ],
    [ 'P ftp://127.0.0.1:3128;', qr/must have the form http:/ ],
    [ 'P http://;', qr/must have the form http:/ ],
    [ 'P http://127.0.0.1;', qr/no port in "P", write/ ],
    [ 'P http://127.0.0.1:0;', qr/invalid port in "P / ],
    [ 'P http://127.0.0.1:99999;', qr/invalid port in "P / ],
    [ 'P http://127.0.0.1:3128/path;', qr/invalid host in "P / ],
    [ 'P socks5://unix:/x;', qr/in "P / ],
    [ 'P http://@127.0.0.1:3128;', qr/a user that is empty/ ],
    [ 'P http://:secret@127.0.0.1:3128;', qr/a user that is empty/ ],
    [ 'P http://a%3Ab:secret@127.0.0.1:3128;', qr/a user with a colon/ ],
    [ 'P http://al%zz:secret@127.0.0.1:3128;', qr/two hexadecimal digits/ ],
    [ 'P http://al%00:secret@127.0.0.1:3128;', qr/two hexadecimal digits/ ],
    [ 'P http://al%2:secret@127.0.0.1:3128;', qr/two hexadecimal digits/ ],
    [ 'P http://' . 'a' x 256 . ':secret@127.0.0.1:3128;',
        qr/more than 255 bytes/ ],
    [ 'P http://alice@127.0.0.1:3128;',
        qr/no password for user "alice" in "P", write .*"P_password_file"/ ],
    [ 'P http://alice@127.0.0.1:3128; P_password_file none;',
        qr/none" failed/ ],
    [ 'P http://alice@127.0.0.1:3128; P_password_file empty;',
        qr/a file whose first line is empty/ ],
    [ 'P https://127.0.0.1;',
        qr/no "P_ssl_trusted_certificate" is defined/ ],
    [ 'P http://127.0.0.1:1; P http://127.0.0.1:1;', qr/duplicate/ ],
);

plan(tests => 2 * @good + 2 * @bad + 2 + 2);

trp_cert($t);
trp_keys($t, 'key');
trp_ca($t, 'ca');
trp_crl($t, 'ca');

$t->write_file('passwords', "secret\n");
$t->write_file('empty', '');

test_agent_settings($t, 'proxy', \%all, \@good, \@bad);
