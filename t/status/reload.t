#!/usr/bin/perl

# The status of a relay outlives reloads, also those that change its zone:
# counters go on, nothing is counted twice, and no agent is said to be gone.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http /);
my $reverse = Test::Nginx->new();

my $hub = <<'EOC';
    upstream hub {
        trp_entry local;
    }

    proxy_half_close on;

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass hub;
    }
EOC

status_relay_conf($relay, workers => 2, stream => $hub);
reverse_conf($reverse, 8443);

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', scalar trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$relay->run()->plan(35 + 2);
$reverse->run();

my $before = row_is('agents', { role => 'reverse', up => 1 });

# users in both workers: the group is in one of them

user($_) for 1 .. 6;

is_total(6, 6000, 'users');
ok(row_is('servers', { streams_total => 6, received_bytes_total => 6000,
    streams => 0 }), 'the relay has them');

# reloads

for my $n (1 .. 3) {
    reload();
    user($n);
    is_total(6 + $n, 1000 * (6 + $n), "reload $n");
}

# a stream through a reload

my $s = stream('127.0.0.1:' . port(8080));
is($s->io('x', length => 1), 'x', 'stream');

reload();
ok(row_is('groups', { streams => 1 }), 'it is still there');

undef $s;
ok(row_is('groups', { streams => 0, streams_total => 10 }), 'and has ended');
ok(wait_for(sub { (rows_of('workers', {})) == 2 }), 'the old workers have, too');

# another size, another name

status_relay_conf($relay, workers => 2, stream => $hub, zone => 'trp 128k');
reload();
ok(status()->{zone}{rows} < 200, 'smaller');
user(1);
is_total(11, 10001, 'another size');

status_relay_conf($relay, workers => 1, stream => $hub,
    zone => 'other 1m inactive=1h');
my @old = worker_pids($relay);
$relay->reload();
ok(wait_for(sub {
    my @pids = worker_pids($relay);
    return @pids == 1 && !grep { $_ == $pids[0] } @old;
}), 'one worker');
ok(row_is('agents', { role => 'reverse', up => 1 }), 'up');
user(1);
is_total(12, 11001, 'another name');

my ($after) = rows_of('agents', {});

is($after->{losses_total}, 0, 'no losses');
is($after->{since}, $before->{since}, 'it has been there all the time');
is(count_log($relay, qr/\[notice\].* reverse ".*" .* has come,/), 1,
    'it has come once');
is(count_log($relay, qr/\[notice\].* reverse ".*" .* (?:is gone|is back)/), 0,
    'and was never away');


sub reload {
    reload_and_wait($relay);
    row_is('agents', { role => 'reverse', up => 1 });
}


sub user {
    my ($n) = @_;
    my $u = stream('127.0.0.1:' . port(8080));

    is($u->io("$n" x 1000, length => 1000), "$n" x 1000, "user $n");
}


sub is_total {
    my ($n, $bytes, $what) = @_;

    ok(row_is('agents', { role => 'reverse', streams_total => $n,
        sent_bytes_total => $bytes, streams => 0 }), "$what: $n streams");
    is(rows_of('agents', {}), 1, 'one agent');
}
