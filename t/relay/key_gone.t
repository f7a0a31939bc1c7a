#!/usr/bin/perl

# Tests for a key that is taken out of the authorized keys: its tunnels and
# streams go with it, those of other keys notice nothing.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8080);

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

    upstream three {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key two;
        trp_entry_group spare;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%%;
        proxy_pass one;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%%;
        proxy_pass two;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%%;
        proxy_pass three;
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

    trp_reverse_ssl_trusted_certificate localhost.crt;
    proxy_half_close on;

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_key spare;
        trp_reverse_group spare;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

my ($one, $two) = trp_keys($entry, 'one', 'two');
my ($key, $spare) = trp_keys($reverse, 'reverse', 'spare');

keys_are($relay, $one, $two, $key, $spare);

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(16 + 4);

my $s1 = stream('127.0.0.1:' . port(8081));
my $s2 = stream('127.0.0.1:' . port(8082));

is($s1->io('SEE', length => 3), 'SEE', 'one');
is($s2->io('SEE', length => 3), 'SEE', 'two');

# transfers in their course: nobody takes any more of them for now

my @running = map { connect_to(port($_)) } 8082, 8083;
my @sent = map { fill($_) } @running;
cmp_ok($_, '>', 65536, 'a transfer') for @sent;

# the key of an entry

keys_are($relay, $two, $key, $spare);
$relay->reload();

is(end_of($s1), 'reset', 'stream of the key that is gone');
ok(wait_log($relay, qr/"one" for group "0" is not authorized: key is not in/),
    'it is not let in again');

is($s2->io('THIS', length => 4), 'THIS', 'stream of another key');
is(stream('127.0.0.1:' . port(8082))->io('SEE', length => 3), 'SEE',
    'and a new one');
my $lost = connect_to(port(8081));
is(end_of($lost, 0.1), 'timeout', 'none for the key that is gone');
abort($lost);

is(finish($running[0], $sent[0]), 'complete', 'the transfer');

# the key of a reverse

keys_are($relay, $two, $spare);
$relay->reload();

is(end_of($s2), 'reset', 'stream of the reverse whose key is gone');
ok(wait_log($relay, qr/for group "0" is not authorized: key is not in/,
    count => 2), 'it is not let in again');

my $s3 = stream('127.0.0.1:' . port(8083));
is($s3->io('SEE', length => 3), 'SEE', 'a new stream of another reverse');
is(finish($running[1], $sent[1]), 'complete', 'its transfer');
is($s3->io('THIS', length => 4), 'THIS', 'goes on');
$lost = connect_to(port(8082));
is(end_of($lost, 0.1), 'timeout', 'none of the reverse whose key is gone');
abort($lost);

undef $s3;


sub keys_are {
    my ($t, @keys) = @_;
    $t->write_file('authorized_keys', join "\n", @keys, '');
}

# all that was sent has come back, and its digest

sub finish {
    my ($s, $sent) = @_;
    my ($all, $n) = '';

    $s->blocking(1);
    shutdown $s, 1;
    1 while $n = sysread $s, $all, 65536, length $all;

    return "error: $!" if !defined $n;
    return 'other bytes' if substr($all, 0, $sent, '') ne noise($sent);
    return $all =~ /^$sent [0-9a-f]{64}\n\z/ ? 'complete' : "no end: $all";
}
