#!/usr/bin/perl

# Tests for SOCKS5 in front of a TURN server: TCP to addresses and names.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;
use Socket qw/ AF_INET AF_INET6 inet_pton /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $turn = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();

turn_conf($turn);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $trp_destination $trp_status $status "
        "$bytes_received $bytes_sent $upstream_addr";
    access_log %%TESTDIR%%/access.log socks;

    resolver 127.0.0.1:%%PORT_8991_UDP%%;
    resolver_timeout 1s;

    upstream tcp {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    upstream udp {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client;
        trp_turn_client_secret north bob;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass tcp;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass udp;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_allow 127.0.0.1 good.example;
        trp_socks5_deny 127.0.0.5 bad.example;
        proxy_half_close on;
        proxy_pass tcp;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        proxy_pass tcp;
    }
}

EOC

trp_cert($turn);

my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 100,
    LocalPort => port(8090), V6Only => 1, ReuseAddr => 1);
plan(skip_all => 'no IPv6') if !$ipv6;

# any address of 127.0.0.0/8 is a peer

my @listen = (Listen => 100, LocalHost => '0.0.0.0', ReuseAddr => 1);

serve_on($entry, IO::Socket::IP->new(@listen, LocalPort => port(8090))
    || die("no peer: $!\n"), 'echo');
serve_on($entry, $ipv6, 'echo');
serve($entry, port(8091), 'half', record => 'half.log', data => 'x' x 100_000);
serve($entry, port(8092), 'hello', data => "220 ready\n");
serve($entry, port(8093), 'reset', after => 100_000);
serve($entry, port(8094), 'flood', record => 'flood.log');

my $dns = IO::Socket::IP->new(Proto => 'udp', LocalHost => '127.0.0.1',
    LocalPort => port(8991, udp => 1)) or die "can't listen: $!\n";
$entry->run_daemon(\&dns, $dns);

$turn->run();
$entry->run()->plan(68 + 2);

my $port = port(8090);

# where to

for my $server (8080, 8081) {
    connects($server, "127.0.0.1:$port", 'IPv4');
    connects($server, "[::1]:$port", 'IPv6');
    connects($server, "127.0.0.2:$port", 'IPv4 as a name', type => 'name');
    connects($server, "[::ffff:127.0.0.3]:$port", 'IPv4 in IPv6');
    connects($server, "four.example:$port", 'name');
    connects($server, "six.example:$port", 'name, IPv6');
}

# they have one allocation for each family and upstream

wait_for(sub { counters() =~ / 4$/ }, 5);
is(counters(), '4 4', 'allocations');

# the peer sees who connects from the relayed address, and that is BND

my $listener = listener(0);
my $c = socks(port(8080), peer_addr($listener));
is(peer_addr(getpeername $listener->accept()), $c->bnd(), 'relayed address');

# a transfer

$c = socks(port(8080), "127.0.0.1:$port");
my $result = transfer($c->socket(), 5_000_000);

is("$result->{received} $result->{end}", '5000000 eof', 'transfer');
is($result->{received_sha}, $result->{sent_sha}, 'its digest');
is($result->{tail}, "5000000 $result->{sent_sha}\n", 'and what is behind it');

# early data, and a peer that speaks first

$c = socks(port(8080), "127.0.0.1:$port", once => 1, data => noise(50_000));
ok($c->read(50_000) eq noise(50_000), 'early data');
$c->close();

$c = socks(port(8080), '127.0.0.1:' . port(8092));
is($c->read(10), "220 ready\n", 'speaks first');
is($c->echo('SEE'), 'SEE', 'and then');
$c->close();

# one side has ended

$c = socks(port(8080), '127.0.0.1:' . port(8091));
is(join(' ', (drain($c->socket()))[0, 2]), '100000 eof', 'peer ends first');
$c->write('y' x 100_000);
shutdown $c->socket(), 1;
ok(wait_log($entry, qr/^100000 \S+ eof$/, file => 'half.log'),
    'all of the client');

# aborts

$c = socks(port(8080), '127.0.0.1:' . port(8093));
$c->write('x' x 100_000);
is(end_of($c->socket()), 'reset', 'the peer resets');

$c = socks(port(8080), '127.0.0.1:' . port(8094));
$c->read(1_000_000);
abort(delete $c->{socket});
ok(wait_log($entry, qr/./, file => 'flood.log'), 'the client resets');
like((served($entry, 'flood.log'))[0], qr/ reset$/, 'the peer sees it');

# rules hold for the address that a name has

is(reply(8082, "good.example:$port"), '0', 'allowed by name');
is(reply(8082, "four.example:$port"), '0', 'allowed by address');
is(reply(8082, "five.example:$port"), '2 eof', 'address denied');
is(reply(8082, "bad.example:$port"), '2 eof', 'name denied');
is(reply(8082, "other.example:$port"), '2 eof', 'not allowed');
is(reply(8082, "six.example:$port"), '2 eof', 'not allowed, IPv6');
is(reply(8082, "mixed.example:$port"), '0', 'one of its addresses is allowed');

# no connection

is(reply(8080, '127.0.0.1:' . port(8099)), '5 eof', 'refused');
is(reply(8080, '[::1]:' . port(8099)), '5 eof', 'refused, IPv6');
is(reply(8080, "127.0.0.66:$port"), '2 eof', 'the server denies it');
is(reply(8080, "10.0.0.1:$port"), '2 eof', 'so it does with this one');
is(reply(8080, "nobody.example:$port"), '4 eof', 'no such host');
is(reply(8080, "empty.example:$port"), '4 eof', 'no address');
is(reply(8080, "silent.example:$port"), '4 eof', 'no answer of DNS');

ok(wait_log($entry, qr/^${\port(8080)} 127\.0\.0\.1:\d+ refused 502 /,
    file => 'access.log'), 'log: refused');
ok(wait_log($entry, qr/ not allowed 50[02] /, file => 'access.log'),
    'log: not allowed');
ok(wait_log($entry, qr/^${\port(8080)} four.example:$port ok 200 .* 127\.0\.0/
    . qr/\.1:${\port(8478)}$/, file => 'access.log'), 'log: upstream');

# the client leaves while it waits

my @full = map { full_listener(port($_)) } 8095, 8096;
my @workers = worker_pids($entry);
my $before = wait_for(sub { !tcp_count(port(8080)) && fd_count(@workers) });

for my $peer (8095, 8096) {
    my $c = socks(port(8083), '127.0.0.1:' . port($peer), stop => 'auth');

    $c->write(socks_request($c->{to}));
    wait_for(sub { dialling(port($peer)) > 1 });
    abort(delete $c->{socket});

    $c = socks(port(8083), "silent.example:$port", stop => 'auth');
    $c->write(socks_request($c->{to}));
    abort(delete $c->{socket});
}

ok(wait_for(sub { fd_count(@workers) <= $before }, 15),
    'no descriptor is left');
is(reply(8080, "127.0.0.1:$port"), '0', 'as before');


sub connects {
    my ($server, $to, $name, %opts) = @_;

    my $c = socks(port($server), $to, %opts);

    is($c->rep(), 0, $name) or return;
    like($c->bnd(), $to =~ /\[::1|six/ ? qr/^\[::1\]:\d+$/
        : qr/^127\.0\.0\.1:\d+$/, "$name: relayed address");
    is($c->echo("hello $name"), "hello $name", "$name: echo");
    $c->close();
}


sub reply {
    my ($server, $to) = @_;
    my $c = socks(port($server), $to);

    return $c->end() if !defined $c->rep();
    return $c->rep() . ($c->rep() ? " $c->{end}" : '');
}


sub counters {
    my $s = connect_to(port(8480));
    return scalar <$s>;
}


# a name server that knows a few names

sub dns {
    my ($socket) = @_;

    my %zone = (
        'four.example' => '127.0.0.1',
        'good.example' => '127.0.0.2',
        'bad.example' => '127.0.0.1',
        'five.example' => '127.0.0.5',
        'other.example' => '127.0.0.3',
        'mixed.example' => '127.0.0.5 127.0.0.1',
        'six.example' => '::1',
        'empty.example' => '',
    );

    while (1) {
        $socket->recv(my $query, 512);

        my ($id, $names) = unpack 'n x10 a*', $query;
        my ($question, $name, $type) = $names =~ /^((.*?\0)(..)..)/s or next;

        $name = join '.', unpack '(C/a)*', $name;
        $name =~ s/\.$//;
        next if $name eq 'silent.example';

        $type = unpack 'n', $type;
        my @all = grep { $type == (/:/ ? 28 : $type == 1 ? 1 : 0) }
            split ' ', $zone{$name} || '';

        $socket->send(pack('n n n n n n a* a*', $id,
            exists $zone{$name} ? 0x8180 : 0x8183, 1, scalar @all, 0, 0,
            $question, join '', map { pack 'n n n N n/a', 0xc00c, $type, 1,
                3600, inet_pton(/:/ ? AF_INET6 : AF_INET, $_) } @all));
    }
}
