#!/usr/bin/perl

# Agents whose connections to a relay hang on the way do not keep others of the
# same nginx from dialling that relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

use constant GROUPS => 40;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_ssl_preread stream_map /);
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    map $ssl_preread_server_name $to {
        localhost  127.0.0.1:%%PORT_8445%%;
        default    127.0.0.1:8443;
    }

    server {
        listen 127.0.0.1:8444;
        ssl_preread on;
        proxy_pass $to;
    }

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8444;
    }

    upstream mute {
        server localhost:%%PORT_8444%%;
    }

EOC

$conf .= <<EOC for 1 .. GROUPS;
    server {
        trp_reverse mute;
        trp_reverse_group mute$_;
        proxy_pass \$trp_destination;
    }

EOC

$conf .= <<'EOC';
    server {
        trp_reverse relay;
        trp_reverse_group direct;
        proxy_pass $trp_destination;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', $conf);

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', trp_keys($reverse, 'reverse'));

my $mute = listener(port(8445));

$relay->run();
$reverse->run()->plan(1 + 2);

ok(wait_log($relay, qr/ has a tunnel in group "direct"/), 'others dial');
