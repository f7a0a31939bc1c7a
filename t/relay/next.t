#!/usr/bin/perl

# trp_relay_next_timeout: a reverse that does not accept a stream is asked with
# PING, and the stream is opened elsewhere if it does not answer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

use constant CAN_ANSWER => "\x01";

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_authorized_keys authorized_keys;
    ssl_protocols TLSv1.3;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen 127.0.0.1:8443 ssl;
        trp_relay;
        trp_relay_next_timeout 400ms;
    }

    server {
        listen 127.0.0.1:8444 ssl;
        trp_relay;
        trp_relay_next_timeout 0;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run()->plan(27);

my $key = $relay->testdir() . '/any';


# it answers PING: its service is slow, and the stream stays

my $first = agent('reverse', 'slow', name => 'first', flags => CAN_ANSWER);
my $entry = agent('entry', 'slow');

$entry->send('OPEN', open_payload(port => 80, retries => 2));
$entry->send('DATA', 'request');
ok($first->expect('OPEN'), 'asked');
is($first->data(length => 7), 'request', 'with the request');

my $second = agent('reverse', 'slow', name => 'second', flags => CAN_ANSWER);

for my $n (1 .. 3) {
    ok($first->expect('PING', pings => 1), "PING $n");
    $first->send('PONG');
}

# ACCEPT in doubt is confirmed

$first->send('ACCEPT');
ok($first->expect('PONG', pings => 1), 'PONG');
ok($entry->expect('ACCEPT'), 'accepted');
$entry->send('DATA', 'more');
is($first->data(length => 4), 'more', 'goes on');

# another one at once: no PING, no PONG

my $other = agent('entry', 'slow');
$other->send('OPEN', open_payload(port => 80, retries => 2));
ok($second->expect('OPEN', pings => 1), 'the other one');
$second->send('ACCEPT');
ok($other->expect('ACCEPT'), 'accepted');
$other->send('DATA', 'x');
ok($second->expect('DATA', pings => 1), 'without PING');


# it falls silent: reset, and the entry may ask again

my ($left, $silent) = map { agent('reverse', 'silent', name => 'silent',
    flags => CAN_ANSWER) } 1 .. 2;
my $backup = agent('reverse', 'silent', name => 'backup', backup => 1,
    flags => CAN_ANSWER);
my $user = agent('entry', 'silent');

$user->send('OPEN', open_payload(port => 80, retries => 2));
$user->send('DATA', 'request');

my $refuse = $user->expect('REFUSE');
is($refuse->{code}, 'failed', 'refused');
is($refuse->{retry}, 1, 'may be asked elsewhere');
ok($silent->expect('OPEN'), 'it was asked');
is($silent->wait_end(pings => 1), 'reset', 'and is reset');

$user->send($_) for qw/ RESET DONE /;
ok($user->expect('DONE'), 'that stream is over');
$user->send('OPEN', open_payload(port => 80, retries => 1, again => 1));
ok($backup->expect('OPEN'), 'the backup');
$backup->send('ACCEPT');
ok($user->expect('ACCEPT'), 'accepted');

# its other tunnel has been asked, and is not used before it answers

ok($left->expect('PING', pings => 1), 'asked, too');

my $next = agent('entry', 'silent');
my $backup2 = agent('reverse', 'silent', name => 'backup', backup => 1,
    flags => CAN_ANSWER);
$next->send('OPEN', open_payload(port => 80, retries => 2, id => 'n' x 8));
ok($backup2->expect('OPEN'), 'the backup again');

$left->send('PONG');
my $back = agent('entry', 'silent');
$back->send('OPEN', open_payload(port => 80, retries => 2, id => 'b' x 8));
ok($left->expect('OPEN'), 'after an answer it is first again');


# an older reverse: it does not answer, but TCP does

my $old = agent('reverse', 'old', name => 'old');
my $new = agent('reverse', 'old', name => 'new', backup => 1,
    flags => CAN_ANSWER);
my $waits = agent('entry', 'old');

$waits->send('OPEN', open_payload(port => 80, retries => 2));
ok($old->expect('OPEN', pings => 1), 'an older one');


# nobody else: the stream stays

my $only = agent('reverse', 'only', name => 'only', flags => CAN_ANSWER);
my $alone = agent('entry', 'only');

$alone->send('OPEN', open_payload(port => 80, retries => 2));
ok($only->expect('OPEN'), 'the only one');
ok($only->expect('PING', pings => 1), 'PING');


# turned off

my $off = agent('reverse', 'off', name => 'off', flags => CAN_ANSWER,
    port => port(8444));
my $patient = agent('entry', 'off', port => port(8444));

$patient->send('OPEN', open_payload(port => 80, retries => 2));
ok($off->expect('OPEN', pings => 1), 'turned off');

# by now each of them has waited for longer than the relay's patience

ok(wait_log($relay, qr/reverse "silent" .* does not answer/), 'found');
is(count_log($relay, qr/"(?:old|only|off|slow|first|second)" .* does not/), 0,
    'no other one');


sub agent {
    my ($role, $group, %opts) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443), key => $key,
        role => $role, group => $group, %opts);
}
