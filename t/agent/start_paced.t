#!/usr/bin/perl

# An agent with many groups starts: it does not dial more tunnels at once than
# a relay takes from one address, so that nobody finds anything to complain
# about.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

use constant GROUPS => 100;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_max_per_address 40;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

worker_processes 2;

events {
    worker_connections 1024;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_reverse_key reverse;
    trp_reverse_pool idle=2;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8443;
    }

EOC

$conf .= <<EOC for 1 .. GROUPS;
    server {
        trp_reverse relay;
        trp_reverse_group group$_;
        proxy_pass \$trp_destination;
    }

EOC

$reverse->write_file_expand('nginx.conf', "$conf}\n");

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', trp_keys($reverse, 'reverse'));

$relay->run();
$reverse->run()->plan(3 + 2);

ok(wait_log($relay, qr/ has a tunnel /, count => 2 * 2 * GROUPS),
    'all tunnels are there');
is(count_log($reverse, qr/\[(?:warn|error|crit)\]/), 0, 'no error');
is(count_log($relay, qr/too many/), 0, 'nobody is refused');
