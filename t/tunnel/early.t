#!/usr/bin/perl

# Tests for streams whose frames come all at once or byte by byte, and for
# DONE: the tunnel carries the next stream then.  Both agents are raw.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /)->plan(44);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$status $bytes_received $bytes_sent $trp_destination";
    access_log %%TESTDIR%%/access.log main;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($relay, 'entry', 'reverse'));
$relay->run();

my $dir = $relay->testdir();

my $entry = agent('entry');
my $reverse = agent('reverse');

my $data = join '', map { "$_ " } 1 .. 3000;
my $request = frame('OPEN', open_payload(port => 80, user_port => 4711,
    id => 'abcdefgh')) . frame('DATA', $data) . frame('END');

stream('one record', sub { $entry->write($request) });
stream('single bytes', sub {
    $entry->write_slowly(substr $request, 0, 200);
    $entry->write(substr $request, 200, length($request) - 204);
    $entry->write_slowly(substr $request, -4);
});

is(count_log($relay, qr/has a tunnel/), 2, 'the same tunnels');
ok(wait_for(sub { count_log($relay, qr/^200 13893 4 127.0.0.1:80$/,
    file => 'access.log') == 2 }), 'access log');

# an end, DONE and the next OPEN in one record

open_stream();
$reverse->write(frame('ACCEPT') . frame('END'));
ok($entry->expect('ACCEPT') && $entry->expect('END'), 'answer');
$entry->write(frame('DATA', 'x') . frame('END') . frame('DONE')
    . frame('OPEN', open_payload(port => 81)));
is($reverse->data(), 'x', 'request');
ok($reverse->expect('END'), 'its end');
ok($reverse->expect('DONE'), 'done, and');
is($reverse->expect('OPEN')->{port}, 81, 'the next stream');

# RESET is an end too

$entry->send('RESET');
ok($reverse->expect('RESET'), 'reset');
$reverse->write(frame('REFUSE', refuse_payload('failed', 0))
    . frame('DONE'));
ok($entry->expect('REFUSE') && $entry->expect('DONE'), 'refused');
$entry->send('DONE');
ok($reverse->expect('DONE'), 'both are done');

# and so is REFUSE

open_stream();
$reverse->send('REFUSE', refuse_payload('refused', 0, 'no'));
my $refuse = $entry->expect('REFUSE');
is($refuse->{code}, 'refused', 'code');
is($refuse->{retry}, 0, 'nobody else');
is($refuse->{text}, 'no', 'text');
$entry->write(frame('DONE') . frame('RESET'));
ok($reverse->expect('DONE') && $reverse->expect('RESET'), 'refused');

open_stream();
ok($entry->send('RESET'), 'the tunnels still work');

# no reverse is asked for a stream that ends before one is there

my $lonely = agent('entry', group => 'lonely');
$lonely->write($request . frame('RESET'));
ok($lonely->expect('REFUSE') && $lonely->expect('DONE'), 'END, RESET');

$lonely = agent('entry', group => 'lonely');
$lonely->write(frame('OPEN', open_payload(port => 80)) . frame('DATA', 'x')
    . frame('RESET'));
ok($lonely->expect('REFUSE') && $lonely->expect('DONE'), 'given up');
$lonely->send('DONE');

my $late = agent('reverse', group => 'lonely');
$lonely->send('OPEN', open_payload(port => 82));
is($late->expect('OPEN')->{port}, 82, 'the next one only');

# nginx would wait for the stream that is left

$_->close() for $entry, $reverse;


sub agent {
    my ($role, %opts) = @_;

    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $agent->login(key => "$dir/$role",
        role => $role, %opts);

    is($ready && $ready->{type}, 'READY', "$role is ready");
    return $agent;
}


sub open_stream {
    $entry->send('OPEN', open_payload(port => 80));
    ok($reverse->expect('OPEN'), 'open');
}


sub stream {
    my ($name, $send) = @_;

    $send->();

    my $open = $reverse->expect('OPEN');
    is("$open->{host}:$open->{port}", '127.0.0.1:80', "$name: destination");
    is("$open->{user_host}:$open->{user_port}", '127.0.0.1:4711', 'user');
    is($open->{id}, 'abcdefgh', 'id');
    ok($reverse->data() eq $data, 'data');
    ok($reverse->expect('END'), 'end');

    my $answer = frame('ACCEPT') . frame('DATA', 'okay') . frame('DONE')
        . frame('END');

    $name eq 'one record' ? $reverse->write($answer)
        : $reverse->write_slowly($answer);

    ok($entry->expect('ACCEPT'), 'accepted');
    is($entry->data(), 'okay', 'answer');
    ok($entry->expect('DONE') && $entry->expect('END'), 'end of the answer');
    $entry->send('DONE');
    ok($reverse->expect('DONE'), 'done');
}
