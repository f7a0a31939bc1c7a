#!/usr/bin/perl

# Tests for the line of an allocation in the access log, and for counters.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return
    socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
    log_format turn "$remote_port $protocol $remote_addr $trp_turn_username "
        "$trp_turn_relayed_addr $trp_turn_bytes_to_peers "
        "$trp_turn_packets_to_peers $trp_turn_bytes_from_peers "
        "$trp_turn_packets_from_peers $session_time $trp_turn_end: "
        "$trp_turn_peers";

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_unauthenticated_rate 10000r/s;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp reuseport;
        listen 127.0.0.1:%%PORT_8479%%;
        listen 127.0.0.1:%%PORT_8480%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        access_log %%TESTDIR%%/access.log turn;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8481_UDP%% udp;
        access_log %%TESTDIR%%/access.log turn;
        trp_turn;
        trp_turn_lifetime 1s;
    }

    server {
        listen 127.0.0.1:%%PORT_8482%%;
        return "$trp_turn_allocations $trp_turn_total_allocations
            $trp_turn_permissions $trp_turn_channels $trp_turn_bytes
            $trp_turn_packets $trp_turn_dropped $trp_turn_denied
            $trp_turn_responses_binding_200 $trp_turn_responses_allocate_200
            $trp_turn_responses_allocate_401 $trp_turn_responses_allocate_437
            $trp_turn_responses_allocate_442 $trp_turn_responses_refresh_200
            $trp_turn_responses_createpermission_200
            $trp_turn_responses_createpermission_403
            $trp_turn_responses_channelbind_200
            $trp_turn_responses_channelbind_400";
    }
}

EOC

trp_cert($t);
$t->run()->plan(43);

my @names = qw/ allocations total_allocations permissions channels bytes
    packets dropped denied binding_200 allocate_200 allocate_401 allocate_437
    allocate_442 refresh_200 createpermission_200 createpermission_403
    channelbind_200 channelbind_400 /;

is(join(' ', values %{counters()}), join(' ', (0) x @names), 'zero');

# one session in all ways

my @peers = map { turn_peer() } 1, 2;
my @addrs = map { peer_addr($_) } @peers;

my $c = client();
$c->binding();
$c->allocate();
$c->allocate();
$c->permit('127.0.0.1');
$c->permit('127.0.0.2', '127.0.0.3');
$c->permit('10.0.0.1');
$c->bind_channel(0x4000, $addrs[0]);
$c->bind_channel(0x4001, $addrs[0]);
client()->call('allocate', [ 'requested-transport' => 6 ]);

# the last of all, in the other worker perhaps

is(reaches('allocate_442', 1), 1, 'allocate, TCP');
is(reaches('channelbind_400', 1), 1, 'a wrong one');
my $now = counters();
is($now->{allocations}, 1, 'an allocation');
is($now->{total_allocations}, 1, 'all of them');
is($now->{permissions}, 3, 'permissions');
is($now->{channels}, 1, 'a channel');
is($now->{bytes} . $now->{packets}, '00', 'no data');
is($now->{denied}, 1, 'denied');
is($now->{binding_200}, 1, 'binding');
is($now->{allocate_200}, 1, 'allocate');
is($now->{allocate_401}, 2, 'allocate, strangers');
is($now->{allocate_437}, 1, 'allocate, again');
is($now->{createpermission_200}, 2, 'permissions');
is($now->{createpermission_403}, 1, 'a denied one');
is($now->{channelbind_200}, 1, 'channel');

# data: 3 packets there, 2 back

$c->send_channel(0x4000, 'x' x 10);
$c->send_channel(0x4000, 'x' x 200);
$c->send_to($addrs[1], 'x' x 3000);
peer_read($peers[0]) for 1, 2;
peer_read($peers[1]);

peer_send($peers[$_], $c->relayed(), 'y' x (7 + 50 * $_)) for 0, 1;
$c->read() for 0, 1;

# dropped: without permission

$c->send_to('127.0.0.9:9', 'x');
$c->binding();

is(reaches('packets', 5), 5, 'packets');
is(counters()->{bytes}, 3210 + 64, 'bytes');
ok(wait_for(sub { counters()->{dropped} >= 1 }), 'dropped');
is(count_log($t, qr/./, file => 'access.log'), 0, 'no line yet');

# the end

my ($own) = $c->addr() =~ /:(\d+)$/;
my $relayed = $c->relayed();
$c->refresh();
$c->refresh(0);

ok(wait_log($t, qr/^$own /, file => 'access.log'), 'a line');
my %line = line($t, $own);

is($line{protocol}, 'UDP', 'protocol');
is($line{address}, '127.0.0.1', 'address');
is($line{user}, 'alice', 'user');
is($line{relayed}, $relayed, 'relayed address');
like($line{peers}, qr/\Q$addrs[0]\E/, 'first peer');
like($line{peers}, qr/\Q$addrs[1]\E/, 'second peer');
is($line{to}, '3210 3', 'to peers');
is($line{from}, '64 2', 'from peers');
like($line{time}, qr/^\d+\.\d{3}$/, 'time');
like($line{end}, qr/^\w/, 'why');

is(reaches('allocations', 0), 0, 'no allocation');
$now = counters();
is($now->{permissions} . $now->{channels}, '00', 'nothing is left');
is($now->{total_allocations}, 1, 'but a count');
is($now->{refresh_200}, 2, 'refresh');

# other reasons and kinds of clients: each has its own word

my %ends = (deleted => $line{end});

for my $transport (qw/ tcp tls /) {
    my $c = client(transport => $transport);
    $c->allocate();
    my ($own) = $c->addr() =~ /:(\d+)$/;
    $c->close();
    ok(wait_log($t, qr/^$own /, file => 'access.log'), "$transport: a line");
    %line = line($t, $own);
    like("$line{protocol} $line{to} $line{from} $line{peers}",
        qr/^TCP 0 0 0 0 -?$/, "$transport: without data");
    $ends{gone} = $line{end};
}

my $then = time() + 1000 . ':bob';
$c = turn(port => port(8481), user => $then,
    password => stun_rest('north', $then));
$c->allocate();
($own) = $c->addr() =~ /:(\d+)$/;
ok(wait_log($t, qr/^$own /, file => 'access.log'), 'expired: a line');
%line = line($t, $own);
is($line{user}, $then, 'time-limited user');
$ends{expired} = $line{end};

$c = client();
$c->allocate();
($own) = $c->addr() =~ /:(\d+)$/;
$t->stop();
%line = line($t, $own);
$ends{shutdown} = $line{end};

is(keys %{{ reverse %ends }}, 4, 'reasons')
    or diag(join ' ', map { "$_=$ends{$_}" } sort keys %ends);
is(count_log($t, qr/^$own /, file => 'access.log'), 1, 'one line each');


sub line {
    my ($t, $own) = @_;
    my ($line) = grep { /^$own / } split /\n/, $t->read_file('access.log');
    my %line;

    ($line, $line{peers}) = split /: /, $line || '', 2;
    (undef, @line{qw/ protocol address user relayed /}, my @rest)
        = split / /, $line || '';
    @line{qw/ to from /} = map { join ' ', splice @rest, 0, 2 } 1, 2;
    @line{qw/ time end /} = (shift @rest, join ' ', @rest);

    return %line;
}


# waits until a counter has this value, returns it

sub reaches {
    my ($name, $value) = @_;

    wait_for(sub { counters()->{$name} == $value });
    return counters()->{$name};
}


sub counters {
    my %counters;

    @counters{@names} = split ' ',
        turn(transport => 'tcp', port => port(8482))->read_bytes();

    return \%counters;
}


sub client {
    my (%opts) = @_;
    my %ports = (udp => 8478, tcp => 8479, tls => 8480);

    return turn(port => port($ports{$opts{transport} || 'udp'}),
        user => 'alice', password => 'secret', %opts);
}
