#!/usr/bin/perl

# Tests for tunnels that end just behind their last bytes: the relay notices
# at once, however the two have come.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

use constant TIMES => 40;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /)->plan(3);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
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
        trp_relay_heartbeat 1h;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($relay, 'entry', 'reverse'));
$relay->run();

my $dir = $relay->testdir();
my $reverse = agent('reverse');

# bytes and end in one turn of the relay, or in two

for my $i (1 .. TIMES) {
    my $idle = agent('entry');

    $idle->write(frame('PING'));
    select undef, undef, undef, 0.001 if $i % 2;
    $idle->close();
}

ok(wait_log($relay, qr/peer closed tunnel (?!in)/, count => TIMES), 'idle tunnels');

# the other side of a stream is told

my $told = 0;

for my $i (1 .. TIMES) {
    my $entry = agent('entry');

    $entry->write(frame('OPEN', open_payload(port => 80))
        . frame('DATA', 'x' x (1 + $i * 400)));
    select undef, undef, undef, 0.001 if $i % 2;
    $entry->close();

    while (my $frame = $reverse->read()) {
        next if $frame->{type} ne 'RESET';
        $told++;
        last;
    }

    $reverse->write(frame('REFUSE', refuse_payload('failed', 0))
        . frame('DONE'));
    1 while ($reverse->read() || last)->{type} ne 'DONE';
}

is($told, TIMES, 'busy tunnels');

ok(wait_for(sub { tcp_count(port(8443)) <= 2 }), 'and nothing is left open');

$reverse->close();


sub agent {
    my ($role) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443),
        timeout => 10, key => "$dir/$role", role => $role);
}
