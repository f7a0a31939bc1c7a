#!/usr/bin/perl

# Tests for connections that are silent: nobody speaks at all, the server
# speaks first, all wait for longer than the heartbeats.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
        trp_relay_heartbeat 200ms;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format status "$trp_status $bytes_received $bytes_sent";
    access_log %%TESTDIR%%/stream.log status;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_heartbeat 200ms;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_heartbeat 200ms;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo', digest => 0, record => 'echo.log');
serve($reverse, port(8091), 'hello', data => "220 ready\r\n");
serve($reverse, port(8092), 'send', data => '', record => 'send.log');

$relay->run();
$reverse->run();
$entry->run()->plan(15 + 2 * 2);

# the server speaks first

my $s = connect_to(port(8081));

is(talk($s, '', 11), "220 ready\r\n", 'server first');
is(talk($s, 'EHLO', 4), 'EHLO', 'answer');
close $s;

# opened and closed without a byte, by the user and by the destination

$s = connect_to(port(8080));
close $s;

ok(wait_log($reverse, qr/^0 \S+ eof$/, file => 'echo.log'), 'closed by user');

$s = connect_to(port(8082));
is(join(' ', (drain($s))[0, 2]), '0 eof', 'closed by destination');
close $s;

ok(wait_log($reverse, qr/^0 \S+ eof$/, file => 'send.log'), 'closed by both');

wait_log($entry, qr/./, file => 'stream.log', count => 3);
is(count_log($entry, qr/^ok 0 0$/, file => 'stream.log'), 2, 'status');

# nothing for longer than several heartbeats, half-closed or not

$s = connect_to(port(8080));
my $t = connect_to(port(8080));
my $u = connect_to(port(8082));

is(talk($s, 'SEE', 3), 'SEE', 'before the silence');
is((drain($u))[2], 'eof', 'half-closed, before the silence');

# the time itself is what is tested

select undef, undef, undef, 2.5;

is(talk($s, 'THIS', 4), 'THIS', 'after the silence');
is(talk($t, 'SEE', 3), 'SEE', 'first word after the silence');

print $u 'late';
close $u;

ok(wait_log($reverse, qr/^4 \S+ eof$/, file => 'send.log'), 'late upload');

is(talk(connect_to(port(8080)), 'NEXT', 4), 'NEXT', 'new connection');

# nobody was taken for dead

for ($relay, $entry, $reverse) {
    is(count_log($_, qr/is silent|timed out|closed tunnel/), 0, 'tunnels');
}


sub talk {
    my ($s, $data, $length) = @_;

    syswrite $s, $data if $data ne '';
    read($s, my $reply, $length);
    return $reply;
}
