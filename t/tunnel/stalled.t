#!/usr/bin/perl

# Tests for readers that have stopped: while bytes wait for them, no worker of
# any role uses CPU time.

use strict;
use warnings;

use Test::More;

use Socket qw/ SHUT_WR /;
use Time::HiRes qw/ sleep /;

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
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

my $listener = listener(port(8091));

$relay->run();
$reverse->run();
$entry->run()->plan(15 + 2 * 2);

my %workers = (
    relay => [ worker_pids($relay) ],
    entry => [ worker_pids($entry) ],
    reverse => [ worker_pids($reverse) ],
);

my $user = connect_to(port(8081));
syswrite $user, 'x';

my $destination = accepted($listener);
sysread $destination, my $first, 1;

# the destination does not read, then the user does not either

my ($up, $down) = (0, 0);

stall($user, $destination, \$up);
all_idle('upload');

stall($destination, $user, \$down);
all_idle('both ways');

# all of it is still there, and an end behind it

shutdown $user, SHUT_WR;
is(join(' ', (drain($destination))[0, 2]), "$up eof", 'upload goes on');

all_idle('download');

shutdown $destination, SHUT_WR;
is(join(' ', (drain($user))[0, 2]), "$down eof", 'download goes on');


# Writes until nobody takes more, and once more when all of that was read:
# what has been blocked and is not any more may behave as another one.

sub stall {
    my ($from, $to, $left) = @_;

    my $sent = fill($from);
    my $received = 0;

    for (1 .. 30) {
        $received += (drain($to, 1))[0];
        last if $received >= $sent;
    }

    is($received, $sent, 'blocked for the first time');

    $$left = fill($from);
    ok($$left, 'blocked for the second time');
}


# Bytes may still be on their way at first: a second in which nothing is done
# is waited for.  A worker that never rests never has one.

sub all_idle {
    my ($name) = @_;
    my %least;

    for (1 .. 10) {
        my %before = map { $_ => cpu_time(@{$workers{$_}}) } keys %workers;

        sleep 1;

        for my $role (keys %workers) {
            my $used = cpu_time(@{$workers{$role}}) - $before{$role};
            $least{$role} = $used
                if !defined $least{$role} || $used < $least{$role};
        }

        last if !grep { $_ > 4 } values %least;
    }

    cmp_ok($least{$_}, '<=', 4, "$name: CPU time of $_, percent")
        for sort keys %workers;
}
