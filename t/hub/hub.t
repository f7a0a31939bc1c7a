#!/usr/bin/perl

# Tests for "trp_entry local": users of the relay's own nginx get the tunnels of
# reverses, and their sessions are logged once.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

hub_conf($hub,
    upstream => 'trp_entry_name front;',
    stream => <<'EOC');
    log_format trp "$trp_destination $trp_destination_host "
                   "$trp_destination_port $trp_group $trp_name $trp_status "
                   "$remote_addr $bytes_received $bytes_sent $upstream_addr";

    server {
        access_log %%TESTDIR%%/trp.log trp;

        trp_route %%PORT_8081%%:localhost:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8099%% bind=127.0.0.1;
        proxy_pass hub;
    }
EOC

reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$hub->run();
$reverse->run()->plan(24 + 2);

# the first user may come before the reverse

ok(visit(port(8080), timeout => 10), 'a user is served');

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');

for my $n (0, 1, 16_384, 16_385, 3_000_000) {
    my $result = transfer(connect_to(port(8080)), $n);

    is($result->{received_sha}, $result->{sent_sha}, "transfer of $n");
    is($result->{end}, 'eof', "end of $n");
}

# several at once, more than there are tunnels

my @users = map { connect_to(port(8080)) } 1 .. 8;
syswrite $_, 'x' for @users;
is(read_from($_, 1), 'x', 'several at once') for @users;
close $_ for @users;

# variables

my $result = transfer(connect_to(port(8081)), 1_000_000);
my $sent = 1_000_000 + length $result->{tail};

is(line(1), 'localhost:' . port(8090) . ' localhost ' . port(8090)
    . " 0 front ok 127.0.0.1 1000000 $sent local", 'variables');

is(end_of(connect_to(port(8082))), 'reset', 'refused');
is(line(2), '127.0.0.1:' . port(8099) . ' 127.0.0.1 ' . port(8099)
    . ' 0 front refused 127.0.0.1 0 0 local', 'variables, refused');

is(count_log($hub, qr/./, file => 'trp.log'), 2, 'one line for each');


sub line {
    my ($count) = @_;

    wait_log($hub, qr/./, file => 'trp.log', count => $count);

    my @lines = split /\n/, $hub->read_file('trp.log');
    return $lines[$count - 1];
}


sub read_from {
    my ($s, $n) = @_;
    sysread $s, my ($data), $n;
    return $data;
}
