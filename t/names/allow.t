#!/usr/bin/perl

# Tests for trp_reverse_allow with destinations that are host names.

use strict;
use warnings;

use Test::More;

use IO::Socket::INET;
use Socket qw/ inet_aton /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# group, destination, answer or status

my @tests = (
    [ 'loopback', 'localhost:22', '127.0.0.1:22' ],
    [ 'loopback', 'LocalHost:22', '127.0.0.1:22' ],

    [ 'names', 'good.example:22', '127.0.0.1:22' ],
    [ 'names', 'GOOD.example:22', '127.0.0.1:22' ],
    [ 'names', 'good.example:23', 'not allowed 502' ],
    [ 'names', 'outside.example:22', '10.0.0.5:22' ],
    [ 'names', 'a.wild.example:8022', '10.0.0.6:8022' ],
    [ 'names', 'wild.example:8022', 'not allowed 502' ],
    [ 'names', 'inside.example:22', 'not allowed 502' ],
    [ 'names', 'localhost:22', 'not allowed 502' ],

    [ 'blocks', 'inside.example:22', '127.0.0.1:22' ],
    [ 'blocks', 'inside.example:22', '127.0.0.1:22' ],
    [ 'blocks', 'inside.example:23', 'not allowed 502' ],
    [ 'blocks', 'outside.example:22', 'not allowed 502' ],
    [ 'blocks', 'mixed.example:22', '127.0.0.1:22' ],
    [ 'blocks', 'alias.example:22', '127.0.0.1:22' ],
    [ 'blocks', 'nobody.example:22', 'no such host 502' ],
    [ 'blocks', 'empty.example:22', 'no such host 502' ],
    [ 'blocks', 'silent.example:22', 'no such host 502' ],
    [ 'blocks', 'localhost:22', '127.0.0.1:22' ],

    [ 'all', 'outside.example:65535', '10.0.0.5:65535' ],
    [ 'all', 'nobody.example:22', 'no such host 502' ],
);

relay_conf($relay, 8080);

$entry->write_file_expand('nginx.conf', <<'EOC' . servers() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$server_port $trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    trp_reverse_key auth;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_group loopback;
        return "$trp_destination";
    }

    server {
        trp_reverse relay;
        trp_reverse_group names;
        resolver 127.0.0.1:%%PORT_8991_UDP%%;
        resolver_timeout 1s;
        trp_reverse_allow good.example:22 outside.example *.wild.example;
        return "$trp_destination";
    }

    server {
        trp_reverse relay;
        trp_reverse_group blocks;
        resolver 127.0.0.1:%%PORT_8991_UDP%%;
        resolver_timeout 1s;
        trp_reverse_allow 127.0.0.0/8:22;
        return "$trp_destination";
    }

    server {
        trp_reverse relay;
        trp_reverse_group all;
        resolver 127.0.0.1:%%PORT_8991_UDP%%;
        resolver_timeout 1s;
        trp_reverse_allow all;
        return "$trp_destination";
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', trp_keys($entry, 'auth') . "\n");
$reverse->write_file('auth', $entry->read_file('auth'));
chmod 0600, $reverse->testdir() . '/auth';

my $dns = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1',
    LocalPort => port(8991, udp => 1)) or die "can't listen: $!\n";

$reverse->run_daemon(\&dns, $dns);

$relay->run();
$reverse->run();
$entry->run()->plan(@tests + 4 + 4);

for my $i (0 .. $#tests) {
    my ($group, $destination, $expected) = @{$tests[$i]};
    my $name = "$group: $destination: $expected";
    my $s = connect_to(port(8100 + $i));

    if ($expected =~ / /) {
        end_of($s);
        ok(wait_log($entry, qr/^${\port(8100 + $i)} \S+ $expected$/,
            file => 'access.log'), $name);

    } else {
        is(<$s>, $expected, $name);
    }
}

ok(wait_log($reverse, qr/\[error\].* is not allowed by "trp_reverse_allow", /
    . qr/destination: "outside\.example:22"/), 'not allowed');
ok(wait_log($reverse, qr/\[error\].* "nobody\.example" could not be resolved /
    . qr/\(3: Host not found\)/), 'no such host');
ok(wait_log($reverse, qr/^nobody\.example:22 no such host 502$/,
    file => 'access.log'), 'access log of the reverse');

# the user goes while the name is being resolved

my ($i) = grep { $tests[$_][1] =~ /silent/ } 0 .. $#tests;
my $s = connect_to(port(8100 + $i));

wait_log($reverse, qr/client 127\.0\.0\.1:${\$s->sockport()} connected/);
abort($s);

ok(wait_log($reverse, qr/^silent\.example:22 /, count => 2,
    file => 'access.log'), 'user has gone');


sub servers {
    my $text = '';

    for my $i (0 .. $#tests) {
        my ($group, $destination) = @{$tests[$i]};

        $text .= <<"EOC";
    upstream relay$i {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_group $group;
        trp_entry_pool idle=1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_${\(8100 + $i)}%%:$destination;
        proxy_pass relay$i;
    }

EOC
    }

    return $text;
}


# a name server that knows a few names

sub dns {
    my ($socket) = @_;

    my %zone = (
        'good.example' => [ '127.0.0.1' ],
        'outside.example' => [ '10.0.0.5' ],
        'a.wild.example' => [ '10.0.0.6' ],
        'wild.example' => [ '127.0.0.1' ],
        'inside.example' => [ '127.0.0.1' ],
        'mixed.example' => [ '10.0.0.5', '127.0.0.1', '10.0.0.6' ],
        'empty.example' => [],
    );

    while (1) {
        $socket->recv(my $query, 512);

        my ($id, $labels) = unpack 'n x10 a*', $query;
        my @labels;

        while (length $labels) {
            my $label = unpack 'C/a', $labels;
            last if $label eq '';
            substr $labels, 0, 1 + length $label, '';
            push @labels, $label;
        }

        my ($type) = unpack 'x n', $labels;
        my $name = lc join '.', @labels;
        my $question = substr $query, 12, length(join '.', @labels) + 6;
        my @answers;

        next if $name eq 'silent.example';

        if ($name eq 'alias.example') {
            push @answers, pack 'n n n N n/a', 0xc00c, 5, 1, 3600,
                "\6inside\7example\0";
            $name = 'inside.example';
        }

        # addresses for A, none for AAAA

        push @answers, map { pack 'n n n N n/a', 0xc00c, 1, 1, 3600,
            inet_aton($_) } @{$zone{$name} || []} if $type == 1;

        $socket->send(pack('n n n n n n a* a*', $id,
            $zone{$name} ? 0x8180 : 0x8183, 1, scalar @answers, 0, 0,
            $question, join '', @answers));
    }
}
