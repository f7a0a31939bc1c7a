#!/usr/bin/perl

# Tests for STUN/TURN: WebRTC in Chromium that reaches the server by IPv6.
# Browsers do not say which family the relayed address shall have, so that it
# is IPv4.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebRTC;

my $missing = browser_missing(ipv6 => 1);
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->plan(9);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$remote_addr $protocol $trp_turn_relayed_addr '
                    '$trp_turn_bytes_to_peers $trp_turn_bytes_from_peers';

    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen [::1]:%%PORT_8980_UDP%% udp reuseport;
        listen [::1]:%%PORT_8981%%;
        listen [::1]:%%PORT_8982%% ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
        trp_turn_external_address 127.0.0.1;
        trp_turn_external_address ::1;
    }
}

EOC

trp_cert($t);
$t->run();

my $browser = browser($t, port(8990), accept => 'localhost.crt');

my %url = (
    udp => 'turn:[::1]:' . port(8980),
    tcp => 'turn:[::1]:' . port(8981) . '?transport=tcp',
    tls => 'turns:[::1]:' . port(8982),
);

for my $transport (qw/ udp tcp tls /) {
    my $result = $browser->relay(url => $url{$transport},
        username => 'user', password => 'password');

    is($result->{state}, 'complete', "$transport, state");
    is_deeply($result->{pairs}, [ ("relay $transport relay") x 2 ],
        "$transport, candidates");
    ok(logged($t, $transport eq 'udp' ? 'UDP' : 'TCP',
        $transport eq 'tls' ? 4 : 2), "$transport, access log");
}


# allocations that have relayed all bytes, both ways

sub logged {
    my ($t, $protocol, $count) = @_;

    return wait_for(sub {
        my @lines = grep {
            /^::1 $protocol 127\.0\.0\.1:\d+ (\d+) (\d+)$/
                && $1 >= 466944 && $2 >= 466944
        } split /\n/, $t->read_file('turn.log');

        return @lines == $count;
    });
}
