#!/usr/bin/perl

# Tests for TURN servers and their users in the operator's view, with one worker
# and with four, through reloads and killed workers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use JSON::PP;

use Test::Nginx qw/ :DEFAULT http_content /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ http stream /)->todo_alerts();

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes WORKERS;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    server {
        listen 127.0.0.1:8080;

        location /trp/ {
            trp_status;
        }
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_user alice:secret;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_deny 127.0.0.66;
    trp_turn_unauthenticated_rate off;
    trp_turn_tcp_allocations on;
    trp_turn_quota user=3;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udpREUSEPORT;
        listen 127.0.0.1:%%PORT_8480%%REUSEPORT;
        trp_turn;
        trp_turn_realm example.org;
    }

    server {
        listen 127.0.0.1:%%PORT_8479_UDP%% udp;
        trp_turn;
        trp_turn_realm example.net;
    }
}

EOC

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalPort => port(8481),
    LocalAddr => '127.0.0.1', ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

$t->plan(2 * 33);

write_conf(1);
$t->run();
check('1 worker');

$t->stop();
write_conf(4);
$t->run();
check('4 workers');


sub check {
    my ($name) = @_;
    my $peer = turn_peer('127.0.77.1');
    my $row;

    $row = server();
    is($row->{$_}, 0, "$name: at first, $_") for qw/ allocations permissions
        channels connections allocations_total received_bytes_total
        denied_total unauthenticated_total /;
    is_deeply(view()->{turn_users}, [], "$name: at first, no users");

    # strangers

    client()->binding() for 1 .. 3;
    is(client(password => 'wrong')->allocate()->{code}, 401, "$name: password");
    is(client(user => 'mallory')->allocate()->{code}, 401, "$name: no user");

    until_is("$name: bindings", sub { server()->{bindings_total} }, 3);
    until_is("$name: wrong credentials",
        sub { server()->{unauthenticated_total} }, 2);
    is_deeply(view()->{turn_users}, [], "$name: a stranger has no row");

    # datagrams

    my $c = client();
    $c->allocate();
    $c->bind_channel(0x4000, peer_addr($peer));

    $c->send_channel(0x4000, 'x' x 100) for 1 .. 3;
    peer_read($peer) for 1 .. 3;
    peer_send($peer, $c->relayed(), 'y' x 250);
    $c->read();

    until_is("$name: datagrams", sub { join ' ', map { server()->{$_} }
        qw/ allocations permissions channels allocations_total
        received_bytes_total sent_bytes_total received_packets_total
        sent_packets_total / }, '1 1 1 1 300 250 3 1');
    is(user('alice'), '1 1 300 250 0', "$name: of the user");

    # peers

    is($c->permit('127.0.0.66:80')->{code}, 403, "$name: denied");
    until_is("$name: denied peer", sub { server()->{denied_total} }, 1);
    is(user('alice'), '1 1 300 250 1', "$name: of the user");

    # a quota, and a user whose name has a time

    my $later = time() + 1000 . ':bob';
    my @bob = map { client(user => $later,
        password => stun_rest('north', $later)) } 1 .. 4;
    is(join(' ', map { $_->allocate()->{code} } @bob), '0 0 0 486',
        "$name: quota");

    until_is("$name: refused", sub { server()->{refused_total} }, 1);
    until_is("$name: without the time", sub { user('bob') }, '3 3 0 0 0');

    # another realm

    my $other = turn(port => port(8479, udp => 1), user => 'alice',
        password => 'secret');
    $other->allocate();
    until_is("$name: another realm",
        sub { server('example.net')->{allocations} }, 1);
    until_is("$name: users are known by their name", sub { user('alice') },
        '2 2 300 250 1');

    # a connection, while it lasts

    my $tcp = turn(port => port(8480), transport => 'tcp', user => 'alice',
        password => 'secret');
    $tcp->allocate([], protocol => 'tcp');
    my $r = $tcp->call('connect',
        [ 'xor-peer-address' => '127.0.0.1:' . port(8481) ]);
    my ($data) = $tcp->bind_connection($r->{attr}->{'connection-id'});
    $data->write('z' x 1000);
    $data->read_bytes(1000);

    until_is("$name: connection", sub { join ' ', server()->{connections},
        user('alice') }, '1 3 3 1300 1250 1');

    # the end, before which the peer sends a digest

    $data->shutdown();
    $data->read_bytes(70);

    $_->close() for $data, $tcp;
    $_->refresh(0) for $c, $other, @bob[0 .. 2];

    until_is("$name: end", sub { join ' ', map { server()->{$_} }
        qw/ allocations permissions channels connections allocations_total /;
    }, '0 0 0 0 5');
    until_is("$name: user who is gone", sub { user('alice') },
        '0 3 1300 1320 1');
    is(user('bob'), '0 3 0 0 0', "$name: another one");

    # an allocation lives on in an old worker

    $c = client();
    $c->allocate();
    $c->bind_channel(0x4000, peer_addr($peer));
    reload_and_wait($t);
    $c->send_channel(0x4000, 'x' x 7);
    peer_read($peer);
    until_is("$name: reload", sub { join ' ', server()->{allocations},
        server()->{allocations_total}, user('alice') },
        '1 6 1 4 1307 1320 1');

    # a killed worker takes its allocations along, but no count

    $c = client();
    $c->allocate();
    until_is("$name: another", sub { user('alice') =~ /^2 5 / }, 1);
    kill 'KILL', worker_pids($t, 'worker process');
    until_is("$name: killed", sub { server()->{allocations} // '' }, 0);
    is(server()->{allocations_total}, 7, "$name: allocations are counted");
    like(user('alice'), qr/^0 5 /, "$name: those of the user");
}


sub client {
    return turn(port => port(8478, udp => 1), user => 'alice',
        password => 'secret', @_);
}


sub view {
    return decode_json(http_content(http_get('/trp/status.json')) || '{}');
}


sub server {
    my ($realm) = @_;

    return (grep { $_->{realm} eq ($realm || 'example.org') }
        @{view()->{turn} || []})[0] || {};
}


sub user {
    my ($name) = @_;
    my ($row) = grep { $_->{name} eq $name } @{view()->{turn_users}};

    return $row ? join ' ', map { $row->{$_} } qw/ allocations
        allocations_total received_bytes_total sent_bytes_total denied_total /
        : 'none';
}


sub until_is {
    my ($name, $code, $expected) = @_;
    my $value;

    wait_for(sub { ($value = $code->()) eq $expected });
    is($value, $expected, $name);
}


sub write_conf {
    my ($workers) = @_;
    my $reuseport = $workers > 1 ? ' reuseport' : '';

    $t->write_file_expand('nginx.conf',
        $conf =~ s/WORKERS/$workers/r =~ s/REUSEPORT/$reuseport/gr);
}
