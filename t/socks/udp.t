#!/usr/bin/perl

# Tests for UDP ASSOCIATE of SOCKS5 over the tunnel: datagrams of any size,
# several destinations and clients, whose datagrams are dropped, and how an
# association and its destinations end.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new()->todo_alerts();

plan(skip_all => 'no IPv6') if !server('::1', 0);

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$server_port $status $trp_status "
                    "$bytes_received $bytes_sent";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen [::1]:%%PORT_8080%%;
        trp_socks5;
        trp_socks5_deny 127.0.0.1:%%PORT_8981_UDP%%;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        trp_socks5_udp_timeout 300ms;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_udp_timeout 10s;
        proxy_timeout 1500ms;
        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $trp_destination $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8980_UDP%%
                          127.0.0.1:%%PORT_8981_UDP%%
                          127.0.0.1:%%PORT_8982_UDP%%
                          127.0.0.1:%%PORT_8983_UDP%%
                          [::1]:%%PORT_8980_UDP%%
                          localhost:%%PORT_8980_UDP%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

my @ports = map { port($_, udp => 1) } 8980 .. 8983;
my ($first, $denied, $second, $closed) = @ports;

$relay->run_daemon(\&echo_datagrams, server('127.0.0.1', $_))
    for $first, $second;
$relay->run_daemon(\&echo_datagrams, server('::1', $first));

$relay->run();
$entry->run();
$reverse->run()->plan(52 + 2 * 2);

ok(wait_log($relay, qr/(?:entry|reverse) ".*" .* has a tunnel/, count => 8),
    'tunnels');

# addresses and names

my $c = socks_udp(port(8080));
my $socks = port(8080);

is($c->rep(), 0, 'associated');
like($c->bnd(), qr/^127\.0\.0\.1:\d+$/, 'socket for datagrams');
isnt($c->bnd(), "127.0.0.1:$socks", 'at a port of its own');

for my $to ("127.0.0.1:$first", "[::1]:$first", "localhost:$first",
    "127.0.0.1:$second")
{
    my $m = $c->ask($to, 'see this');

    is($m->{data}, 'see this', $to);
    is("$m->{from} $m->{frag} $m->{via}", "$to 0 " . $c->bnd(), 'its header');
}

# of any size, one after the other

my @wrong;

for my $i (0 .. 199) {
    my $size = $i < 20 ? $i : $i == 199 ? 16380 : int($i * 16000 / 198);
    my $data = join '', map { chr(33 + ($_ + $i) % 90) } 1 .. $size;
    my $m = $c->ask("127.0.0.1:$first", $data);

    push @wrong, $size if !$m || $m->{data} ne $data;
}

is("@wrong", '', '200 sizes');

# one that is too large is not cut

$c->send_to("127.0.0.1:$first", 'x' x 16381);
is($c->ask("127.0.0.1:$first", 'behind')->{data}, 'behind', 'too large');

# several at once, to several destinations; early ones are kept

my $other = socks_udp(port(8080));
my %count;

for my $i (1 .. 4) {
    $other->send_to("127.0.0.1:$first", "a$i");
    $other->send_to("[::1]:$first", "b$i");
}

for (1 .. 8) {
    my $m = $other->receive() or last;
    $count{substr $m->{data}, 0, 1}{$m->{from}}++;
}

is_deeply(\%count, { a => { "127.0.0.1:$first" => 4 },
    b => { "[::1]:$first" => 4 } }, 'two destinations');

# clients of both families do not see each other's

my @clients = map { socks_udp(port(8080)) } 1 .. 5;
push @clients, map { socks_udp(port(8080), host => '::1') } 1 .. 5;

like($clients[9]->bnd(), qr/^\[::1\]:\d+$/, 'IPv6');

$clients[$_]->send_to("127.0.0.1:$first", "client $_") for 0 .. $#clients;
is(join('', map { my $m = $clients[$_]->receive();
    $m && $m->{data} eq "client $_" ? '.' : 'x' } 0 .. $#clients),
    '..........', 'ten clients');

# who is not the client; what is no datagram of SOCKS5

my $own = $c->udp();

$c->open_udp(udp_from => '127.0.0.2');
$c->send_to("127.0.0.1:$first", 'another address');
$c->open_udp();
$c->send_to("127.0.0.1:$first", 'another port');

$c->{udp} = $own;
$c->send_to("127.0.0.1:$first", 'fragment', frag => 1);
$c->send_to('', '', raw => $_)
    for '', "\0", "\0\0\0\1", "\0\0\0\2aaaaaaaaaaaa", "\0\0\0\3\5ab";
$c->send_to('127.0.0.1:0', 'port 0');
$c->send_to("127.0.0.1:$denied", 'denied');
is($c->ask("127.0.0.1:$first", 'good')->{data}, 'good', 'strangers');
is($c->receive(0.1), undef, 'nothing else');

is(count_log($entry, qr/invalid datagram/), 1, 'invalid, one line');
is(count_log($entry, qr/dropped: not allowed by .*: 127\.0\.0\.1:$denied\b/), 1,
    'denied, one line');

# a stranger who is first

my $early = socks_udp(port(8080), udp_from => '127.0.0.2');
$early->send_to("127.0.0.1:$first", 'stranger');
$early->open_udp(udp_from => '127.0.0.1');
is($early->ask("127.0.0.1:$first", 'client')->{data}, 'client', 'first');
is($early->receive(0.1), undef, 'only the client');

# the port that was asked for

my $wanted = server('127.0.0.1', 0);
my $port = $wanted->sockport();
close $wanted;

my $asked = socks_udp(port(8080), to => "127.0.0.1:$port");
$asked->send_to("127.0.0.1:$first", 'another port');
$asked->open_udp(udp_port => $port);
is($asked->ask("127.0.0.1:$first", 'right')->{data}, 'right', 'asked for');
is($asked->receive(0.1), undef, 'not from others');

# nobody there: the others do not suffer

$other->send_to("127.0.0.1:$closed", 'x');
ok(wait_log($reverse, qr/^UDP 127.0.0.1:$closed 200 aborted$/,
    file => 'access.log'), 'nobody there');
is($other->ask("127.0.0.1:$first", 'still')->{data}, 'still', 'the others');

# not allowed by the reverse

$other->send_to('127.0.0.3:53', 'x') for 1 .. 5;
ok(wait_log($reverse, qr/not allowed by "trp_reverse_allow"/), 'not allowed');
is($other->ask("127.0.0.1:$first", 'still')->{data}, 'still', 'the others');
is(count_log($reverse, qr/not allowed by "trp_reverse_allow"/), 1, 'once');

for (1 .. 20) {
    $other->send_to('127.0.0.3:53', 'x');
    $other->ask("127.0.0.1:$first", 'between');
}

cmp_ok(count_log($reverse, qr/not allowed by "trp_reverse_allow"/), '<', 10,
    'not asked for each datagram');
is(count_log($entry, qr/\[error\]/), 0, 'no errors at the entry');

# the association ends with its connection, and its streams with it

my $streams = count_log($reverse, qr/^UDP/, file => 'access.log');
$_->close() for @clients;

ok(wait_log($entry, qr/^$socks 200 ok 31 30$/, file => 'access.log',
    count => 5), 'five sessions of IPv4');
ok(wait_log($entry, qr/^$socks 200 ok 31 42$/, file => 'access.log',
    count => 5), 'and of IPv6');
ok(wait_log($reverse, qr/^UDP .* 200 ok$/, file => 'access.log', count => 10),
    'ten streams');
is(count_log($reverse, qr/^UDP/, file => 'access.log') - $streams, 10,
    'no others');

my $s = IO::Socket::IP->new(Proto => 'udp', PeerHost => '127.0.0.1',
    PeerPort => $clients[0]->bnd() =~ /(\d+)$/);
ok(wait_for(sub {
    send $s, 'x', 0;
    return !defined recv($s, my $data, 1, Socket::MSG_DONTWAIT())
        && $!{ECONNREFUSED};
}), 'no socket any more');

# a destination that is idle is forgotten, and found again

my $idle = socks_udp(port(8081));
my $before = count_log($reverse, qr/^UDP/, file => 'access.log');
is($idle->ask("127.0.0.1:$second", 'one')->{data}, 'one', 'idle');
ok(wait_for(sub {
    count_log($reverse, qr/^UDP/, file => 'access.log') > $before }), 'forgotten');
is($idle->ask("127.0.0.1:$second", 'two')->{data}, 'two', 'found again');

# datagrams keep an association alive, and nothing else does

my $session = port(8082);
my $long = socks_udp(port(8082));

for (1 .. 8) {
    is($long->ask("127.0.0.1:$first", "$_")->{data}, $_, 'alive') if $_ == 8;
    $long->ask("127.0.0.1:$first", $_);
    select undef, undef, undef, 0.3;
}

is($long->end_of(), 'eof', 'timed out');

# reload: the old association goes on, until it ends

ok(reload_and_wait($entry), 'reload of the entry');
is($c->ask("127.0.0.1:$first", 'old')->{data}, 'old', 'old one');
is($c->ask("[::1]:$first", 'old')->{data}, 'old', 'another destination');

my $new = socks_udp(port(8080));
is($new->ask("127.0.0.1:$second", 'new')->{data}, 'new', 'new one');

# the reverse reloads, and dies

ok(reload_and_wait($reverse), 'reload of the reverse');
is($c->ask("127.0.0.1:$first", 'old')->{data}, 'old', 'old one');
is($new->ask("127.0.0.1:$second", 'new')->{data}, 'new', 'new one');

kill 'KILL', worker_pids($reverse);
is($c->ask("127.0.0.1:$first", 'killed')->{data}, 'killed', 'old one');
is($new->ask("127.0.0.1:$second", 'killed')->{data}, 'killed', 'new one');
is(count_log($reverse, qr/\[(?:alert|emerg|crit)\](?!.*exited on signal 9)/),
    0, 'no other alerts');


sub server {
    my ($host, $port) = @_;

    return IO::Socket::IP->new(Proto => 'udp', LocalHost => $host,
        LocalPort => $port);
}
