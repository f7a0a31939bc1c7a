#!/usr/bin/perl

# Tests for a TURN server with a portal: what it tells the portal, that
# nothing is served before the portal says "init", and whom it serves then.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

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
        listen 127.0.0.1:%%PORT_8479%%;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_portal ws://localhost:%%PORT_8081%%/base;
        trp_turn_portal_token_file token;
        trp_turn_portal_name "a b&c/ü";
    }
}

EOC

$t->write_file('token', "s3cret.token-_~\n");
chmod 0600, $t->testdir() . '/token';

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081), init => undef);

$t->run()->plan(32);

# what the portal gets

ok($portal->wait(qr/ text .*phx_join/), 'joins');

my $port = port(8478);
my $log = $t->read_file('portal.log');

like($log, qr/^1 header Host: localhost:\d+$/m, 'host');
like($log, qr/^1 header X-Authorization: Bearer s3cret\.token-_~$/m, 'token');
like($log, qr/^1 header User-Agent: relay\/\d/m, 'version');

my ($uri) = $log =~ /^1 request GET (\S+) HTTP\/1\.1$/m;
my ($path, $query) = split /\?/, $uri;

is($path, '/base/relay/websocket', 'path');
is_deeply([ sort split /&/, $query ], [ 'ipv4=127.0.0.1',
    'name=a%20b%26c%2F%C3%BC', "port=$port" ], 'query');

my ($join) = $portal->texts(qr/phx_join/);
my $secret = delete $join->{payload}->{stamp_secret};

like($secret, qr/^[0-9a-f]{64}$/, 'secret');
is_deeply($join, { topic => 'relay', event => 'phx_join', payload => {},
    ref => 0 }, 'and nothing else');

# nothing is served yet, whoever asks

ok(wait_log($t, qr/portal has accepted the relay/), 'has joined');

is(answer(binding => udp()), 'none', 'no binding');
is(answer(allocate => udp()), 'none', 'no allocation');
is(answer(binding => tcp()), 'none', 'no binding, TCP');
is(answer(allocate => tcp()), 'none', 'no allocation, TCP');

# what is no "init" changes nothing

$portal->event('other');
$portal->event('phx_error');
$portal->event('account_added', { account_id => 'a' });
$portal->text($_) for '{}', '[]', '"init"', '{"event":["init"]}', 'init', '';

ok(wait_log($t, qr/invalid message/, count => 6), 'no messages');
is(answer(binding => udp()), 'none', 'still no binding');

$portal->event('init');
ok(wait_log($t, qr/portal sent "init"/), 'init');

is(answer(binding => udp()), 0, 'binding');
is(answer(binding => tcp()), 0, 'binding, TCP');

my $r = turn(udp())->allocate();

is($r->{code}, 401, 'no credentials');
is($r->{attr}->{realm}, 'firezone', 'realm');

# its credentials

is(login($portal->credentials()), 0, 'credentials');
is(login($portal->credentials(), tcp()), 0, 'credentials, TCP');
is(login($portal->credentials(account => 'some')), 0, 'with an account');

is(login($portal->credentials(expires => 1685984278)), 401, 'expired');
is(login($portal->credentials(expires => 1685984278, account => 'some')), 401,
    'expired, with an account');
is(login($portal->credentials(secret => 'f' x 64)), 401, 'another secret');
is(login($portal->credentials(secret => '', account => 'some')), 401,
    'no secret');

my %creds = $portal->credentials();
my %other = $portal->credentials(salt => 'other');

is(login(%creds, user => $other{user}), 401, 'the password of another');

# and traffic

my $c = turn(udp(), $portal->credentials());
my $peer = turn_peer();

$c->allocate();
is($c->permit('127.0.0.1')->{code}, 0, 'permission');

$c->send_to(peer_addr($peer), 'there');
my ($data, $from) = peer_read($peer);
is($data, 'there', 'to the peer');

peer_send($peer, $c->relayed(), 'back');
is($c->expect('data')->{attr}->{data}, 'back', 'from the peer');

is($portal->count(qr/ open/), 1, 'one connection all the time');


sub udp { return (port => port(8478)) }
sub tcp { return (port => port(8479), transport => 'tcp') }


sub login {
    return turn(udp(), @_)->allocate()->{code};
}


# over TCP, not to serve may be to close the connection

sub answer {
    my ($method, @opts) = @_;
    my $r = turn(@opts, timeout => 1)->$method();

    return $r->{class} eq 'timeout' ? 'none' : $r->{code};
}
