#!/usr/bin/perl

# Tests for the option permitopen of authorized keys.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
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

    log_format trp "$trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    server {
        listen 127.0.0.1:8080 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
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

    log_format trp "$trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_name near;
        trp_entry_pool idle=1 max=1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%%;
        trp_route %%PORT_8082%%:localhost:%%PORT_8090%%;
        trp_route %%PORT_8083%%:%%PORT_8091%%;
        trp_route %%PORT_8084%%:10.0.0.5:%%PORT_8090%%;
        trp_route %%PORT_8085%%:[::1]:%%PORT_8090%%;
        trp_route %%PORT_8086%%:example:22;
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
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow all;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

my $key = trp_keys($entry, 'entry');
my $reverse_key = trp_keys($reverse, 'reverse');
my $good = port(8090);

$relay->write_file('authorized_keys', "permitopen=\"127.0.0.0/8:$good,"
    . "localhost:$good,*.example:22\" $key\n$reverse_key\n");

serve($reverse, port(8090), 'echo', digest => 0);

$relay->run();
$reverse->run();
$entry->run()->plan(20 + 4);

is(user(8081), 'SEE eof', 'address and port');
is(user(8082), 'SEE eof', 'name and port');

refused($entry, $relay, 8083, '127.0.0.1:' . port(8091), 'another port');
refused($entry, $relay, 8084, "10.0.0.5:$good", 'another address');
refused($entry, $relay, 8085, "[::1]:$good", 'another family');
refused($entry, $relay, 8086, 'example:22', 'another name');

is(user(8081), 'SEE eof', 'the tunnel lives on');
is(count_log($entry, qr/\[info\].* tunnel is ready/), 1, 'the only one');


sub user {
    my ($port) = @_;

    my $s = stream('127.0.0.1:' . port($port));
    my $answer = $s->io('SEE', length => 3);
    shutdown $s->socket(), 1;

    return "$answer " . end_of($s);
}


sub refused {
    my ($entry, $relay, $port, $destination, $name) = @_;

    is(end_of(connect_to(port($port))), 'reset', $name);

    ok(wait_log($entry, qr/^\Q$destination\E not allowed 502$/,
        file => 'access.log'), "$name, entry");
    ok(wait_log($relay, qr/\[info\].* entry "near" .* may not open /
        . qr/"\Q$destination\E" by "permitopen"/), "$name, relay");
    ok(wait_log($relay, qr/^\Q$destination\E not allowed 403$/,
        file => 'access.log'), "$name, access log of the relay");
}
