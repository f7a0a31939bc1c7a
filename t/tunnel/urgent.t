#!/usr/bin/perl

# Tests for urgent data: they are bytes as all others, and what is behind them
# does not wait for more.

use strict;
use warnings;

use Test::More;

use POSIX ();
use Socket qw/ MSG_OOB SHUT_WR /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
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

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

my $listener = listener(port(8090));

$relay->run();
$reverse->run();
$entry->run()->plan(8 + 2 * 2);

my $user = connect_to(port(8080));
syswrite $user, 'SEE';

my $destination = accepted($listener);
is(receive($destination, 3), 'SEE', 'no urgent data');

is(urgent($user, $destination, $entry), 'abcUdef.', 'from the user');
is(urgent($destination, $user, $reverse), 'abcUdef.',
    'from the destination');
is(urgent($user, $destination, $entry), 'abcUdef.', 'once more');

# the last byte, and behind it the end

send $user, 'abcU', MSG_OOB;
shutdown $user, SHUT_WR;
is(receive($destination, 5), 'abcU', 'ahead of the end');

# many of them in a transfer, the other way

my ($data, $sent) = (noise(2_000_000), '');

if (!(my $pid = fork())) {
    for (my $pos = 0; $pos < length $data; $pos += 10_000) {
        my $part = substr $data, $pos, 10_000;
        syswrite $destination, $part;
        send $destination, 'U', MSG_OOB;
    }

    shutdown $destination, SHUT_WR;
    POSIX::_exit(0);
}

for (my $pos = 0; $pos < length $data; $pos += 10_000) {
    $sent .= substr($data, $pos, 10_000) . 'U';
}

my $received = receive($user, length($sent) + 1, 5);
is(length $received, length $sent, 'transfer');
ok($received eq $sent, 'all bytes are where they were');
is(end_of($user), 'eof', 'end of the transfer');
wait;


# All of it is there when the worker reads.

sub urgent {
    my ($from, $to, $nginx) = @_;
    my @workers = worker_pids($nginx);

    kill 'STOP', @workers;
    send $from, 'abcU', MSG_OOB;
    syswrite $from, 'def.';
    kill 'CONT', @workers;

    return receive($to, 8);
}
