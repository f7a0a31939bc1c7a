#!/usr/bin/perl

# Tests for a reload of the relay's nginx at the moment in which its users are
# somewhere: before they have said where to, while they wait for a reverse, with
# a stream that is refused, and with one whose reverse loses its key.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_ssl_preread socket_ssl_alpn /);
my $reverse = Test::Nginx->new();

hub_conf($hub, stream => <<'EOC');
    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        ssl_preread on;
        proxy_pass hub;
    }
EOC
reverse_conf($reverse, 8443);

my ($key) = trp_keys($reverse, 'reverse');
my ($bad) = trp_keys($hub, 'bad');

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', "$key\n$bad\n");

serve($reverse, port(8090), 'echo');

my $dir = $hub->testdir();

$hub->run();
$reverse->run()->plan(10 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');

# a user who has not said anything yet, and one with a stream

my $open = user();
my $silent = connect_to(port(8081), timeout => 30);

ok(wait_log($hub, qr/client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:\d+/),
    'accepted');

$hub->reload();
ok(wait_for(sub { count_log($hub, qr/gracefully shutting down/) }), 'reload');
ok(wait_for(sub { visit(port(8080)) }), 'the new generation serves');

syswrite $open, 'y';
is(sysread($open, my $data, 1), 1, 'the stream goes on');

syswrite $silent, 'not TLS';
is(sysread($silent, $data, 100), 7, 'who is silent for long is served');
close $silent;

# a reverse of another key has a user, refuses him then, and there are no others
# in the old worker

my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
$agent->login(key => "$dir/bad", role => 'reverse', name => 'bad');

my $user = connect_to(port(8080), timeout => 30);
syswrite $user, 'z';
ok($agent->expect('OPEN'), 'a user at the other reverse');

my $exits = count_log($hub, qr/gracefully shutting down/);
$hub->reload();
ok(wait_for(sub { count_log($hub, qr/gracefully shutting down/) > $exits }),
    'reload');

$agent->send('REFUSE', refuse_payload('limit', 1));
is(sysread($user, $data, 100), 1, 'served by one of the new worker');

# without its key, a reverse has no streams, old or new

$hub->write_file('authorized_keys', "$bad\n");
$hub->reload();
is(end_of($open), 'reset', 'the key is gone');


sub user {
    my $s = connect_to(port(8080), timeout => 30);
    syswrite $s, 'x';
    sysread $s, my ($first), 1;
    return $s;
}
