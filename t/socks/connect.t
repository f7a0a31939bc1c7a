#!/usr/bin/perl

# Tests for SOCKS5 over the tunnel: CONNECT to addresses and names, transfers,
# half-closed connections.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_destination $trp_destination_host $trp_destination_port $trp_status $status "
        "$bytes_received $bytes_sent <$trp_socks5_user>";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2 max=2;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        listen [::1]:%%PORT_8080%%;
        trp_socks5;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8443);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 100,
    LocalPort => port(8090), V6Only => 1, ReuseAddr => 1);

plan(skip_all => 'no IPv6') if !$ipv6;

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve_on($reverse, $ipv6, 'echo');
serve($reverse, port(8091), 'half', record => 'half.log',
    data => 'x' x 100_000);
serve($reverse, port(8092), 'hello', data => "220 ready\n");
my $full = full_listener(port(8093));

$relay->run();
$reverse->run();
$entry->run()->plan(47 + 2 * 2);

# where to

my $port = port(8090);

connects("127.0.0.1:$port", 'IPv4', type => 'ipv4');
connects("[::1]:$port", 'IPv6', type => 'ipv6');
connects("localhost:$port", 'name', type => 'name');
connects("LocalHost:$port", 'name in capitals', type => 'name');
connects("127.0.0.1:$port", 'IPv4 as a name', type => 'name');
connects("[::1]:$port", 'IPv6 as a name', type => 'name');
connects("[[::1]]:$port", 'IPv6 in brackets as a name', type => 'name');
connects("127.0.0.1:$port", 'to a client of IPv6', host => '::1');

# a transfer

my $c = socks(port(8080), "127.0.0.1:$port");
my $result = transfer($c->socket(), 5_000_000);

is("$result->{received} $result->{end}", '5000000 eof', 'transfer');
is($result->{received_sha}, $result->{sent_sha}, 'its digest');
is($result->{tail}, "5000000 $result->{sent_sha}\n", 'and what is behind it');
ok(wait_log($entry, qr/^\S+ \S+ \S+ ok 200 \d+ \d{7}/, file => 'access.log'),
    'in the log');

# a destination that speaks first

$c = socks(port(8080), '127.0.0.1:' . port(8092));
is($c->rep(), 0, 'speaks first');
is($c->read(10), "220 ready\n", 'what it says');
is($c->echo('SEE'), 'SEE', 'and then');
$c->close();

# one side has ended

$c = socks(port(8080), '127.0.0.1:' . port(8091));
is(join(' ', (drain($c->socket()))[0, 2]), '100000 eof',
    'destination ends first');

$c->write('y' x 100_000);
shutdown $c->socket(), 1;
ok(wait_log($reverse, qr/^100000 \S+ eof$/, file => 'half.log'),
    'all of the client');

$c = socks(port(8080), "127.0.0.1:$port");
shutdown $c->socket(), 1;
like((drain($c->socket()))[2], qr/^eof$/, 'client ends first');
ok(wait_log($reverse, qr/^0 \S+ eof$/, file => 'echo.log'), 'without a byte');

# the reply is an answer of the destination

$c = socks(port(8080), '127.0.0.1:' . port(8093), stop => 'auth');
$c->write(socks_request('127.0.0.1:' . port(8093)));
ok(!IO::Select->new($c->socket())->can_read(0.5), 'no reply yet');

my @accepted;
my $listener = shift @$full;

while (IO::Select->new($listener)->can_read(5)) {
    push @accepted, $listener->accept();
    last if IO::Select->new($c->socket())->can_read(0);
}

is($c->reply(), 0, 'now it is there');
$c->close();

# one after the other, on the same tunnels

my $good = 0;

for my $i (1 .. 30) {
    $c = socks(port(8080), "127.0.0.1:$port");
    $result = transfer($c->socket(), 1000 * $i);
    $good++ if $result->{end} eq 'eof'
        && $result->{received_sha} eq $result->{sent_sha};
}

is($good, 30, 'one after the other');
is(count_log($relay, qr/entry ".*has a tunnel/), 2, 'on the same tunnels');


sub connects {
    my ($to, $name, %opts) = @_;

    my $c = socks(port(8080), $to, %opts);
    my ($host, $port) = $to =~ /^\[*(.*?)\]*:(\d+)$/;
    my $text = $host =~ /:/ ? "[$host]:$port" : $to;

    is($c->rep(), 0, $name);
    is($c->bnd(), '0.0.0.0:0', "$name: address");
    is($c->echo("hello $name"), "hello $name", "$name: echo");
    $c->close();
    ok(wait_log($entry, qr/^\Q$text $host $port ok 200\E \d+ \d+ <-?>$/,
        file => 'access.log'), "$name: access log");
}
