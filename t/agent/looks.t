#!/usr/bin/perl

# A relay's address at which there is something else: the agent says what it is
# that answers, in one line.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()
    ->has(qw/ stream stream_ssl http http_ssl http_v2 /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my $ask = 'is it a relay\?';

# upstream, port, and what the agents say

my @tests = (
    [ 'http', 8080, "server does not speak TLS, this looks like HTTP: $ask" ],
    [ 'ssh', 8081, "server does not speak TLS, this looks like SSH: $ask" ],
    [ 'smtp', 8082,
        "server does not speak TLS, it begins with \"220 m\": $ask" ],
    [ 'tls', 8083, "server does not speak trp\\/2: $ask" ],
    [ 'http2', 8084, "server does not speak trp\\/2: $ask" ],
    [ 'http2-tls12', 8085, "server does not speak trp\\/2: $ask" ],
    [ 'stranger', 8086, 'relay SSL certificate verify error: .*, '
        . "nor does the server speak trp\\/2: $ask" ],
);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen 127.0.0.1:8080;
    }

    server {
        listen 127.0.0.1:8084 ssl http2;
    }

    server {
        listen 127.0.0.1:8085 ssl http2;
        ssl_protocols TLSv1.2;
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen 127.0.0.1:8083 ssl;
        return ok;
    }

    server {
        listen 127.0.0.1:8086 ssl;
        ssl_certificate other.crt;
        ssl_certificate_key other.key;
        return ok;
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

    trp_entry_key any;
    trp_reverse_key any;
    trp_entry_ssl_trusted_certificate localhost.crt;
    trp_reverse_ssl_trusted_certificate localhost.crt;

EOC

my $upstreams = join '', map { <<"EOC" } @tests;
    upstream $_->[0] {
        server 127.0.0.1:$_->[1];
        TRP_ENTRY
    }
EOC

my $servers = join '', map { <<"EOC" } @tests;
    server {
        trp_reverse $_->[0];
        return ok;
    }
EOC

$entry->write_file_expand('nginx.conf',
    $head . $upstreams =~ s/TRP_ENTRY/trp_entry;/gr . "}\n");
$reverse->write_file_expand('nginx.conf',
    $head . $upstreams =~ s/TRP_ENTRY//gr . $servers . "}\n");

trp_cert($t, $entry, $reverse);
trp_keys($_, 'any') for $entry, $reverse;

trp_ca($t, 'ca');
trp_issue($t, 'ca', 'other', names => 'IP:127.0.0.1');

serve($t, port(8081), 'send', data => "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
serve($t, port(8082), 'send', data => "220 mail.example ESMTP\r\n");

$t->run();
$entry->run();
$reverse->run()->plan(2 * @tests + 2 + 4);

for my $agent ($entry, $reverse) {
    for my $test (@tests) {
        my ($name, $port, $text) = @$test;
        my $relay = '127.0.0.1:' . port($port);

        ok(wait_log($agent, qr/\[error\].* $text while .*, relay: $relay,/),
            $name);
    }

    is(count_log($agent, qr/\[(?:crit|alert)\]/), 0, 'nothing is critical');
}
