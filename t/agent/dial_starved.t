#!/usr/bin/perl

# Agents that do not get through to a relay, as their TURN server is mute, do
# not keep others of the same nginx from dialling that relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

use constant GROUPS => 60;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

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
        server 127.0.0.1:8443;
    }

EOC

$conf .= <<EOC for 1 .. GROUPS;
    server {
        trp_reverse relay;
        trp_reverse_group mute$_;
        trp_reverse_turn 127.0.0.1:%%PORT_8478%%;
        trp_reverse_turn_user alice:secret;
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

my $mute = listener(port(8478));

$relay->run();
$reverse->run()->plan(1 + 2);

ok(wait_log($relay, qr/ has a tunnel in group "direct"/), 'others dial');
