#!/usr/bin/perl

# Tests for lines about users that do not authenticate and peers that are
# denied: who it was, from where; a warning for each of a kind, and not too many
# of them; and no character that a terminal would obey.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Time::HiRes qw/ time /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

use constant { RATE => 10 };

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.1;
    trp_turn_unauthenticated_rate off;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8480_UDP%% udp;
        trp_turn;
        trp_turn_tcp_allocations on;
    }
}

EOC

$t->run()->plan(22);

my $server = '127.0.0.1:' . port(8478, udp => 1);

# who does not authenticate

my $c = client(8478, 'alice', 'wrong');
is($c->allocate()->{code}, 401, 'wrong password');
said('user "alice" has another password', $c);

$c = client(8478, 'nobody', 'secret');
is($c->allocate()->{code}, 401, 'unknown user');
said('user "nobody" is not known', $c);

my $then = time() - 10 . ':bob';
$then =~ s/\.\d+//;
$c = client(8478, $then, stun_rest('north', $then));
is($c->allocate()->{code}, 401, 'time is over');
said(qq{user "$then" has a time that is over}, $c);

$c = client(8478, $then, 'wrong');
is($c->allocate()->{code}, 401, 'time is over, wrong password');
said(qq{user "$then" has another password}, $c);

# a name is as anybody has sent it

$c = client(8478, "a\n\e[31mb\"\\\x9b", 'secret');
is($c->allocate()->{code}, 401, 'control characters');
said('user "a\x0A\x1B[31mb\x22\x5C\x9B" is not known', $c);

$c = client(8478, 'n' x 500, 'secret');
is($c->allocate()->{code}, 401, 'a long name');
said('user "' . 'n' x 125 . '..." is not known', $c);

# peers

$c = client(8478, 'alice', 'secret');
$c->allocate();
is($c->permit('10.0.0.1:80')->{code}, 403, 'permission');
said('peer 10.0.0.1:80 is denied, user: "alice"', $c);

# the same once more is no warning, nor are peers like those

$c = client(8478, 'alice', 'wrong');
$c->allocate();
said('user "alice" has another password', $c, 'info');

$c = client(8478, 'alice', 'secret');
$c->allocate();
$c->permit('10.0.0.2:80');
said('peer 10.0.0.2:80 is denied, user: "alice"', $c, 'info');
$c->permit('192.168.0.1:80');
said('peer 192.168.0.1:80 is denied, user: "alice"', $c);

# who has no nonce says nothing that is worth a line

my $lines = count_log($t, qr/\[(?:info|warn)\]/);
$c->call('refresh', [], nonce => 'x', user => 'mallory', retry => 0)
    for 1 .. 20;
$c->call('refresh', [], anonymous => 1) for 1 .. 20;
is(count_log($t, qr/\[(?:info|warn)\]/), $lines, 'nothing of strangers');

# many of them: in all they are as many as there were

$c = client(8480, 'alice', 'secret');
$c->allocate();

my $start = time();
$c->bind_channel(0x4000, "10.1.0.1:$_") for 1 .. 300;
$lines = count_log($t, qr/peer 10\.1\.0\.1:\d+ is denied/);

cmp_ok($lines, '>=', 10, 'some lines');
cmp_ok($lines, '<=', (2 + time() - $start) * RATE, 'not too many');

my $n = 0;
wait_for(sub { $n++; $c->bind_channel(0x4000, '10.1.0.2:1');
    count_log($t, qr/10\.1\.0\.2:1 is denied/) });

my $left = 0;

open my $fh, '<', $t->testdir() . '/error.log' or die "no log: $!\n";
/, (\d+) more lines were left out$/ and $left += $1 while <$fh>;

is($lines + $left + 1, 300 + $n, 'all others are counted');

# many names do not fill the log with warnings

my $before = count_log($t, qr/\[warn\]/);
$start = time();
client(8478, "name$_", 'secret')->allocate() for 1 .. 100;

cmp_ok(count_log($t, qr/\[warn\]/) - $before, '<=',
    21 + (time() - $start) * 5, 'not too many warnings');


sub said {
    my ($text, $c, $level) = @_;
    $level ||= 'warn';
    my $line = "TURN $text, client: " . $c->addr() . ", server: $server";

    ok(wait_log($t, qr/\[$level\].*\Q$line\E$/), $text)
        or diag($line);
}


sub client {
    my ($port, $user, $password) = @_;

    return turn(port => port($port, udp => 1), user => $user,
        password => $password);
}
