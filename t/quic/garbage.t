#!/usr/bin/perl

# Tests for datagrams that are not QUIC, or broken: they cost little and leave
# nothing; agents are served as before.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::QUIC;

my $missing = quic_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

quic_relay_conf($t);

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));

my $n = $ENV{TRP_GARBAGE} || 3000;

$t->run()->plan(7);

my $worker = wait_for(sub { (worker_pids($t))[0] });
my $s = quic_socket();

srand($ENV{TRP_SEED} || 1);

round() for 1 .. 2;
ok(alive(), 'alive');

my $fds = fd_count($worker);
my $memory = private_memory($worker);

round() for 1 .. 3;
ok(alive(), 'alive after more');

is((worker_pids($t))[0], $worker, 'the same worker');
cmp_ok(fd_count($worker), '<=', $fds, 'descriptors');

SKIP: {
    skip 'memory is not given back under a sanitizer', 1 if $ENV{ASAN_OPTIONS};

    cmp_ok(private_memory($worker) - $memory, '<', 4096, 'memory');
}

is(count_log($t, qr/\[(?:error|crit|alert|emerg)\]/), 0, 'no errors');
cmp_ok(count_log($t, qr/\[info\]/), '<', 5 * $n, 'fewer lines than datagrams');


sub round {
    my $good = initial_packet('destination!', 'source',
        crypto_frame(client_hello(scid => 'source')));

    for my $i (1 .. $n) {
        my $kind = $i % 6;

        my $data = $kind == 0 ? random(1 + int rand 1500)
            : $kind == 1 ? chr(0x40 | rand 0x40) . random(rand 60)
            : $kind == 2 ? mutated($good)
            : $kind == 3 ? substr $good, 0, 1 + int rand length $good
            : $kind == 4 ? initial_packet(random(8), random(8),
                random(1 + int rand 1100))
            : pack('C N C/a* C/a*', 0xc0 | rand 0x40, rand 2, random(rand 21),
                random(rand 21)) . random(1100);

        $s->send($data);

        # what comes back is of no interest, but must not fill the socket

        if ($i % 50 == 0) {
            $s->recv(my $answer, 65536) while IO::Select->new($s)->can_read(0);
        }
    }
}


sub random {
    my ($len) = @_;
    return join '', map { chr rand 256 } 1 .. $len;
}


sub mutated {
    my ($data) = @_;

    substr($data, rand(rand() < 0.5 ? 60 : length $data), 1) = chr rand 256
        for 0 .. rand 4;

    return $data;
}


sub alive {
    my $other = quic_socket();

    return wait_for(sub {
        my $dcid = random(12);
        my ($answer) = exchange($other, initial_packet($dcid, 'alive',
            crypto_frame(client_hello(scid => 'alive'))), 0.5);

        return $answer && { quic_header($answer) }->{type} =~ /initial|retry/;
    });
}
