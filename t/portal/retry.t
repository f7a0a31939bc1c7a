#!/usr/bin/perl

# Tests for how a portal that cannot be reached yet, or refuses for now, is
# tried again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use POSIX qw/ strftime /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal ws://127.0.0.1:%%PORT_8081%%;
        trp_turn_portal_token_file token;
    }
}

EOC

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081), http => 503,
    headers => [ 'Retry-After: 2' ], times => 1);
$portal->stop();

$t->run()->plan(18);

# nobody there: once a second, but the log has one error for all

ok(wait_log($t, qr/tried again in 1000 ms/, count => 3), 'once a second');
is(count_log($t, qr/\[error\].*connect\(\) failed/), 1, 'one error');
cmp_ok(count_log($t, qr/\[info\].*connect\(\) failed/), '>=', 2, 'then info');

# refused once, with seconds

$portal->start();

is(delay($t, 503), 3000, 'Retry-After, and the second as always');
is(turn(port => port(8478), timeout => 0.5)->binding()->{class}, 'timeout',
    'nothing is served');
ok(wait_log($t, qr/portal sent "init"/), 'and then');
is(turn(port => port(8478))->binding()->{code}, 0, 'is served');

# with a date; a connection that has worked once has a random delay

refuse($portal, 429, date(30));

my $delay = delay($t, 429);
cmp_ok($delay, '>=', 20000, 'a date');
cmp_ok($delay, '<=', 32000, 'and not much more');
is(turn(port => port(8478), $portal->credentials())->allocate()->{code}, 0,
    'goes on serving');

# values that mean nothing, or too much; a reload does not wait

my $inits = 1;
my %values = (500 => '', 502 => 'soon', 504 => '-5', 404 => date(-1000),
    403 => '12 13');

for my $status (sort keys %values) {
    reload_and_wait($t);
    wait_log($t, qr/portal sent "init"/, count => ++$inits);

    refuse($portal, $status, $values{$status});
    cmp_ok(delay($t, $status), '<=', 2000, "\"$values{$status}\"");
}

reload_and_wait($t);
ok(wait_log($t, qr/portal sent "init"/, count => ++$inits), 'always init');

refuse($portal, 400, '9999999999');
$delay = delay($t, 400);
cmp_ok($delay, '>=', 3600000, 'an hour');
cmp_ok($delay, '<=', 3602000, 'and no more');


sub date {
    my ($seconds) = @_;
    return strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time() + $seconds));
}


# ends the connection, and refuses the next one

sub refuse {
    my ($portal, $status, $later) = @_;

    $portal->behave(http => $status, headers => [ "Retry-After: $later" ],
        times => 1);
    $portal->drop();
}


# until the next attempt after one that was refused

sub delay {
    my ($t, $status) = @_;

    return wait_for(sub {
        $t->read_file('error.log')
            =~ /status $status\b.*?tried again in (\d+) ms/s && $1;
    });
}
