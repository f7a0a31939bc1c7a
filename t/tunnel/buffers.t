#!/usr/bin/perl

# The proxy's buffers grow where a stream carries much, unless
# "proxy_buffer_size" has a value of its own.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl --with-debug /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_buffer_size 12345;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8083;
        proxy_pass 127.0.0.1:8090;
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
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%%;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(7 + 2 * 2);

my $grown = qr/recv: fd:\d+ \d+ of 65536$/m;

# these do not grow: nginx's own, one with another size, a short connection

for ([ 8083, 1_000_000, 16384 ], [ 8082, 1_000_000, 12345 ],
    [ 8081, 10_000, 16384 ])
{
    my ($port, $size, $buffer) = @$_;

    is(transfer(connect_to(port($port)), $size)->{received}, $size,
        "$size bytes, $buffer");
}

ok(wait_log($entry, qr/recv: fd:\d+ \d+ of 12345$/m), 'size is set');
ok($entry->read_file('error.log') !~ $grown, 'no larger buffer');

# much on one connection, in both directions

transfer(connect_to(port(8081)), 1_000_000);
ok(wait_log($_, $grown), 'larger buffer') for $entry, $reverse;
