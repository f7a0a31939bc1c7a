#!/usr/bin/perl

# Tests for a key that is taken out of the authorized keys: its tunnels and
# streams go with it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, 'lib'; }

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

    upstream one {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key one;
        trp_entry_name one;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream two {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key two;
        trp_entry_name two;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%%;
        proxy_pass one;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%%;
        proxy_pass two;
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
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

my ($one, $two) = trp_keys($entry, 'one', 'two');
my $key = trp_keys($reverse, 'reverse');

$relay->write_file('authorized_keys', "$one\n$two\n$key\n");

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(7 + 4);

my $s1 = stream('127.0.0.1:' . port(8081));
my $s2 = stream('127.0.0.1:' . port(8082));

is($s1->io('SEE', length => 3), 'SEE', 'one');
is($s2->io('SEE', length => 3), 'SEE', 'two');

$relay->write_file('authorized_keys', "$two\n$key\n");
$relay->reload();

is(end_of($s1), 'reset', 'stream of the key that is gone');
ok(wait_log($relay, qr/"one" for group "0" is not authorized: key is not in/),
    'it is not let in again');

is($s2->io('THIS', length => 4), 'THIS', 'stream of another key');
is(stream('127.0.0.1:' . port(8082))->io('SEE', length => 3), 'SEE',
    'and a new one');
is(end_of(connect_to(port(8081)), 0.1), 'timeout',
    'none for the key that is gone');

undef $s2;
