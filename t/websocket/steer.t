#!/usr/bin/perl

# A relay with several workers: the hint in the request leads to the worker of
# the group, MOVED tells it to who has none, and the client's address is known
# there, too.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::WebSocket;

my $t = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_realip socket_ssl_alpn /)->plan(17);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols TLSv1.3;
    trp_authorized_keys authorized_keys;
    trp_relay_websocket on;
    deny 192.0.2.66;

    log_format addr '$remote_addr $realip_remote_addr $status';
    access_log %%TESTDIR%%/access.log addr;

    server {
        listen 127.0.0.1:8443 ssl reuseport;
        set_real_ip_from 127.0.0.1;
        trp_relay;
    }

    # where nobody is believed

    server {
        listen 127.0.0.1:8444 ssl;
        set_real_ip_from 192.0.2.0/24;
        trp_relay;
    }

    # together with the PROXY protocol, which is believed, not the request

    server {
        listen 127.0.0.1:8445 ssl proxy_protocol;
        set_real_ip_from 127.0.0.1;
        trp_relay;
    }
}

EOC

trp_cert($t);
my ($any, $far) = trp_keys($t, 'any', 'far');
$t->write_file('authorized_keys', "$any\nfrom=\"192.0.2.7\" $far\n");
$t->run();

wait_for(sub { worker_pids($t) == 4 });

my %groups = map { slot_of($_) % 4 => $_ } '0', 'a' .. 'z';
my $n = 0;

# each group, with the right hint and a wrong one

for my $group (sort values %groups) {
    my $slot = slot_of($group);

    is(types($group, $slot), 'READY 8', "right hint, group $group");
    is(types($group, $slot + 1), 'MOVED 8', "wrong hint, group $group");
}

# addresses

my $for = { headers => { 'X-Forwarded-For' => '192.0.2.66, 192.0.2.7' } };

is(login('0', slot_of('0'), %$for, key => 'far')->{type}, 'READY',
    'from= and X-Forwarded-For');
is(login('0', slot_of('0'), key => 'far')->{type}, 'ERROR',
    'from= and the address of the web server');
is(login('0', slot_of('0'), %$for, key => 'far', port => 8444)->{type},
    'ERROR', 'not believed');
is(login('0', slot_of('0'), %$for, key => 'any', port => 8444)->{type},
    'READY', 'but let in');

my $proxy = "PROXY TCP4 192.0.2.7 203.0.113.1 40000 443\r\n";

is(login('0', slot_of('0'), key => 'far', port => 8445, header => $proxy,
    headers => { 'X-Forwarded-For' => '192.0.2.8' })->{type}, 'READY',
    'PROXY protocol');

like((websocket_open(port(8443),
    headers => { 'X-Forwarded-For' => '192.0.2.66' }))[1], qr/^$/,
    'deny: no upgrade');
ok(wait_log($t, qr/^192\.0\.2\.66 127\.0\.0\.1 403$/, file => 'access.log'),
    'deny: logged with both addresses');

for my $bad ('x', '192.0.2', '1' x 1000, 'unknown', '192.0.2.7:80', '') {
    $n++ if login('0', slot_of('0'), key => 'any',
        headers => { 'X-Forwarded-For' => $bad })->{type} eq 'READY';
}

is($n, 6, 'what is no address is ignored');

is(count_log($t, qr/\[(?:warn\](?!.* is not authorized)|(?:crit|alert)\])/), 0,
    'no errors');


# with a bridge of its own, as it goes through one request only

sub login {
    my ($group, $slot, %opts) = @_;
    my $key = delete $opts{key} || 'any';
    my $port = port(delete $opts{port} || 8443);

    my $bridge = Test::Nginx::TRP::Servers::listener(0);
    my $pid = fork;

    if ($pid == 0) {
        Test::Nginx::TRP::WebSocket::bridge_one($bridge, $port,
            protocol => [ 'trp.2', sprintf 'trp-slot-%02d', $slot % 64 ],
            %opts);
        exec '/bin/true';
    }

    my $client = Test::Nginx::TRP::Client->new(port => $bridge->sockport());
    my $answer = $client->login(key => $t->testdir() . "/$key",
        group => $group) || { type => 'nothing' };

    $client->close();
    close $bridge;
    waitpid $pid, 0;

    return $answer;
}


sub types {
    my ($group, $slot) = @_;
    my %types;

    $types{login($group, $slot)->{type}}++ for 1 .. 8;
    return join ' ', map { "$_ $types{$_}" } sort keys %types;
}
