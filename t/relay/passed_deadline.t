#!/usr/bin/perl

# Connections that another worker has accepted have as much time to authenticate
# as all others, even if this worker has not looked at the clock meanwhile.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

use constant { ROUNDS => 6, TUNNELS => 32 };

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl --with-debug /);
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:8443 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=8;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

$relay->run();
$reverse->run()->plan(ROUNDS + 1 + 2);

for my $round (1 .. ROUNDS) {
    ok(wait_log($relay, qr/ has a tunnel in group /, count => TUNNELS * $round),
        "tunnels, $round");
    $relay->reload() if $round < ROUNDS;
}

is(count_log($relay, qr/timer add: \d+: 1:/), 0, 'no deadline of a millisecond');
