#!/usr/bin/perl

# Tests for readers that are slow: they stop for much longer than heartbeats
# and timeouts of tunnels, lose nothing, cost little memory, and nobody else
# suffers.

use strict;
use warnings;

use Test::More;

use Digest::SHA qw/ sha256_hex /;
use Socket qw/ SHUT_WR /;

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

my $size = 20_000_000;
my $data = noise($size);

serve($reverse, port(8090), 'echo');
serve($reverse, port(8091), 'later', until => 'go', record => 'later.log');
serve($reverse, port(8092), 'send', data => $data);

$relay->run();
$reverse->run();
$entry->run()->plan(11 + 2 * 2);

my $other = connect_to(port(8080));
is(talk($other, 'SEE', 3), 'SEE', 'other connection');

my @before = map { private_memory(worker_pids($_)) } $relay, $entry, $reverse;

# eight of either kind

my @downloads = map { connect_to(port(8082)) } 1 .. 8;
my @uploads = map { connect_to(port(8081)) } 1 .. 8;
my @sent = map { fill($_, $size) } @uploads;

ok(grep({ defined && $_ < $size } @sent), 'stalled uploads');

is(talk($other, 'THIS', 4), 'THIS', 'other connection is alive');

my $good = grep { transfer(connect_to(port(8080)), 100_000)->{end} eq 'eof' }
    1 .. 20;
is($good, 20, 'new connections');

# time itself, during which tunnels might be taken for dead

select undef, undef, undef, 3;

SKIP: {
    skip 'memory of sanitizers', 3 if $ENV{ASAN_OPTIONS};

    my @names = qw/ relay entry reverse /;

    for my $t ($relay, $entry, $reverse) {
        my $more = private_memory(worker_pids($t)) - shift @before;
        my $name = shift @names;

        cmp_ok($more, '<', 8192, "memory of $name, KiB");
    }
}

# all go on where they were

$reverse->write_file('go', '');

my $whole = sha256_hex($data);
my @ends = map { join ' ', drain($_) } @downloads;

is(grep({ $_ eq "$size $whole eof" } @ends), 8, 'downloads')
    or diag(join "\n", @ends);

for my $s (@uploads) {
    my $sent = shift @sent;

    while ($sent < $size) {
        my $n = fill($s, $size - $sent, $sent) or last;
        $sent += $n;
    }

    shutdown $s, SHUT_WR;
}

@ends = map { (drain($_))[2] } @uploads;
is(grep({ $_ eq 'eof' } @ends), 8, 'uploads') or diag("@ends");

wait_log($reverse, qr/./, file => 'later.log', count => 8);
is(count_log($reverse, qr/^$size $whole eof$/, file => 'later.log'), 8,
    'uploads at the destination');

is(talk($other, 'NEXT', 4), 'NEXT', 'other connection at the end');


sub talk {
    my ($s, $data, $length) = @_;

    syswrite $s, $data;
    read($s, my $reply, $length);
    return $reply;
}
