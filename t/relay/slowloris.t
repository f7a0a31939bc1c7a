#!/usr/bin/perl

# Tests for peers that send a byte at a time: before authentication one
# deadline runs for all of it, afterwards nobody else has to wait.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

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
        ssl_handshake_timeout 10m;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_auth_timeout 2s;
        trp_relay_heartbeat 1500ms;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run()->plan(14);

my $dir = $relay->testdir();
my $hello = client_hello('trp/2');
my $open = frame('OPEN', open_payload(port => 80));

# a byte now and then, never all of them

my $tcp = IO::Socket::INET->new('127.0.0.1:' . port(8443));
ok(drip($tcp, substr $hello, 0, -1), 'ClientHello');
ok(wait_log($relay, qr/sent no ClientHello in time|handshak|timed out/),
    'logged');

my $c = Test::Nginx::TRP::Client->new(port => port(8443));
my $frame = $c->expect('HELLO');
ok(drip($c, substr $c->auth($frame, key => "$dir/any"), 0, -1), 'AUTH');
ok(wait_log($relay, qr/timed out while waiting for authentication/),
    'logged');

$c = Test::Nginx::TRP::Client->new(port => port(8443));
$c->expect('HELLO');
ok(drip($c, frame(99, 'x', 0x80) x 1000), 'optional frames');
ok(wait_log($relay, qr/timed out while waiting for authentication/,
    count => 2), 'logged');

# with a tunnel it may take its time, nobody else has to

my $slow = agent('entry', 'pair');
my $reverse = agent('reverse', 'pair');
my ($user, $service) = (agent('entry', 'users'), agent('reverse', 'users'));

for my $byte (split //, $open) {
    $slow->write($byte);
    serve_user() or last;
}

ok($reverse->expect('OPEN'), 'OPEN');
$reverse->write_slowly(frame('ACCEPT'));
ok($slow->expect('ACCEPT'), 'ACCEPT');

$slow->write_slowly(frame('DATA', 'data'));
is($reverse->data(length => 4), 'data', 'DATA');

for my $byte (split //, frame('END')) {
    $slow->write($byte);
    serve_user() or last;
}

ok($reverse->expect('END'), 'END');
ok(serve_user(), 'others');

$_->close() for $reverse, $slow;

# who stops in the middle of an OPEN is missed by heartbeats

$slow = agent('entry', 'pair');
$slow->write(substr $open, 0, 20);
isnt($slow->wait_end(pings => 1), 'timeout', 'half an OPEN');
ok(wait_log($relay, qr/peer is silent for/), 'logged');

# so are these two meanwhile, who did not answer

($user, $service) = (agent('entry', 'users'), agent('reverse', 'users'));
ok(serve_user(), 'others');


# a byte every now and then until the peer ends that; 1 if it does

sub drip {
    my ($s, $data) = @_;
    my $socket = $s->isa('Test::Nginx::TRP::Client') ? $s->socket() : $s;
    my @bytes = split //, $data;

    local $SIG{PIPE} = 'IGNORE';

    # slow enough to be late with the last one

    return wait_for(sub {
        select undef, undef, undef, 0.1;
        my $byte = shift @bytes;
        return 1 if defined $byte && !syswrite $socket, $byte;
        return 1 if $socket == $s ? end_of($s, 0.01) ne 'timeout'
            : $s->wait_end(timeout => 0.01) ne 'timeout';
        return 0;
    });
}


# a stream of others, from its beginning to its end

sub serve_user {
    $user->write($open);
    $service->expect('OPEN') or return 0;
    $service->write(frame('REFUSE', refuse_payload('refused', 0)));
    $user->expect('REFUSE') or return 0;
    $user->write(frame('RESET') . frame('DONE'));

    return $service->expect('RESET') && $service->expect('DONE') ? 1 : 0;
}


sub agent {
    my ($role, $group) = @_;
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $agent->login(key => "$dir/any", role => $role,
        group => $group);

    die "no tunnel\n" if !$ready || $ready->{type} ne 'READY';
    return $agent;
}
