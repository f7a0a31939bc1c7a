#!/usr/bin/perl

# What is known of a key, an agent or a group outlives its last tunnel: the
# rate of opens, that a reverse has refused, and which streams must not be
# opened twice.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 1h;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my ($limited, @others) = trp_keys($relay, qw/ limited entry reverse /);

trp_cert($relay);
$relay->write_file('authorized_keys',
    join "\n", "limit=\"opens=1r/s\" $limited", @others);
$relay->run()->plan(5);

my $dir = $relay->testdir();

# Each opens one, and is gone before the next comes.  Two in a second are too
# many; that may take a slow machine several tries.

ok(wait_for(sub {
    my $refused = 0;

    for (1 .. 10) {
        my $c = agent('limited', 'entry', 'rate');

        # at once, as there is no reverse
        $c->send('OPEN', open_payload(port => 80, elsewhere => 1));
        $refused++ if $c->read()->{code} eq 'limit';
        gone($c);
    }

    return $refused;
}), 'rate of a key without tunnels');

# a reverse that has refused stands behind the other, though it was away

my $entry = agent('entry', 'entry', 'penalty');
my $bad = agent('reverse', 'reverse', 'penalty', 'bad');

$entry->send('OPEN', open_payload(port => 80));
$bad->expect('OPEN');
$bad->write(frame('REFUSE', refuse_payload('refused', 1)));
is($entry->expect('REFUSE')->{code}, 'refused', 'refused');
$entry->write(frame('RESET') . frame('DONE'));
$bad->expect('RESET');
$entry->expect('DONE');
gone($bad);

my $good = agent('reverse', 'reverse', 'penalty', 'good');
$bad = agent('reverse', 'reverse', 'penalty', 'bad');

# the one that is used last would be the first

$entry->send('OPEN', open_payload(port => 80, id => 'another_'));
ok($good->expect('OPEN'), 'the other one has it');
$_->abort() for $entry, $good, $bad;

# an accepted stream whose entry is lost, with everybody else

$entry = agent('entry', 'entry', 'lost');
my $reverse = agent('reverse', 'reverse', 'lost');

$entry->send('OPEN', open_payload(port => 80, id => 'the_same'));
$reverse->expect('OPEN');
$reverse->send('ACCEPT');
$entry->expect('ACCEPT');
gone($entry);
gone($reverse);

$entry = agent('entry', 'entry', 'lost');
$reverse = agent('reverse', 'reverse', 'lost');

$entry->send('OPEN', open_payload(port => 80, id => 'the_same', again => 1));
my $frame = $entry->expect('REFUSE', timeout => 5);
is($frame && $frame->{retry}, 0, 'not opened twice');
is(count_log($relay, qr/was opened before, and accepted/), 1, 'log');


sub agent {
    my ($key, $role, $group, $name) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443),
        key => "$dir/$key", role => $role, group => $group,
        name => $name || 'raw');
}


# the relay knows of it

sub gone {
    my ($c) = @_;
    my $port = $c->socket()->sockport();

    $c->abort();
    wait_for(sub { !tcp_count($port) && !peers($port) });
}


sub peers {
    my ($port) = @_;
    my $re = sprintf '^ *\d+: \S+ [0-9A-F]+:%04X 01 ', $port;

    open my $fh, '<', '/proc/net/tcp' or return 0;
    return scalar grep { /$re/ } <$fh>;
}
