#!/usr/bin/perl

# Tests for builds without QUIC: "nginx -t" stops at what needs it, and says
# which libraries that takes and which are there.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::QUIC;

plan(skip_all => 'this build has QUIC') if !quic_missing();

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

trp_cert($t);
trp_keys($t, 'agent');
$t->write_file('authorized_keys', trp_keys($t, 'relay'));

my @agent = ('trp_%s_quic on;', 'trp_%s_turn udp 127.0.0.1:3478;'
    . ' trp_%s_turn_user a:b;', 'trp_%s_ways quic direct;');

$t->plan(2 * @agent + 4);

for my $role (qw/ reverse entry /) {
    for my $setting (@agent) {
        my $line = $setting =~ s/%s/$role/gr;
        my $test = $role eq 'reverse' ? reverse_($line) : entry($line);

        like($test, qr/needs\ QUIC,\ and\ so\ libngtcp2\ 1\.11\ and\ OpenSSL
            \ 3\.5\ or\ newer;\ this\ trp\ was\ built\ with(?:out\ libngtcp2
            |\ libngtcp2\ [\d.]+)\ and\ with\ \S+\ \d\S*.*
            \ in\ \S+nginx\.conf:\d+$/mx, $line);
    }
}

like(relay('listen 127.0.0.1:%%PORT_8443_UDP%% udp reuseport;'),
    qr/needs QUIC, and so libngtcp2/, 'listen udp of a relay');
like(relay(''), qr/test is successful/, 'a relay');
like(reverse_(''), qr/test is successful/, 'a reverse');
like(entry(''), qr/test is successful/, 'an entry');


sub relay {
    my ($line) = @_;

    return tested(<<"EOC");
    server {
        listen 127.0.0.1:8444 ssl;
        $line
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC
}


sub reverse_ {
    my ($line) = @_;

    return tested(<<"EOC");
    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key agent;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        $line
        proxy_pass \$trp_destination;
    }
EOC
}


sub entry {
    my ($line) = @_;

    return tested(<<"EOC");
    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key agent;
        trp_entry_ssl_trusted_certificate localhost.crt;
        $line
    }

    server {
        trp_route %%PORT_8080%%:80 bind=127.0.0.1;
        proxy_pass relay;
    }
EOC
}


sub tested {
    my ($servers) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$servers}
EOC

    return nginx_test($t);
}
