#!/usr/bin/perl

# Tests for UDP ASSOCIATE behind NAT: the address that clients are told, ports
# of a range, what a client says of its own address; and a line for datagrams
# that are dropped.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream udp /)->plan(28);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_socks5_udp_address 203.0.113.5;

    upstream turn {
        server 127.0.0.1:%%PORT_8200_UDP%%;

        trp_turn_client;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:8080;
        listen [::1]:%%PORT_8080%%;
        trp_socks5;
        trp_socks5_udp_ports %%PORT_8981_UDP%%-%%PORT_8981_UDP%%;
        proxy_pass turn;
    }

    server {
        listen 127.0.0.1:8081;
        listen [::1]:%%PORT_8081%%;
        trp_socks5;
        trp_socks5_udp_address 203.0.113.6;
        trp_socks5_udp_address 2001:db8::6;
        proxy_pass turn;
    }
}

EOC

my $peer = turn_peer('127.0.0.1');
my $to = peer_addr($peer);

$t->run_daemon(\&echo_datagrams, $peer);

fake_turn($t, port(8200, udp => 1), udp => 1);

$t->run();

# one port is enough for one association at a time

my $udp = port(8981, udp => 1);
my $u = associate(port(8080));

is($u->bnd(), "203.0.113.5:$udp", 'address and port');
is(answer($u), 'hello', 'datagrams');

my $other = associate(port(8080));

is($other->rep(), 1, 'all ports are taken');
ok(wait_log($t, qr/\[error\].* bind\(\) of a socket for UDP failed.*client: /),
    'a line');
is(answer($u), 'hello', 'who is there is served');

my $six = associate(port(8080), host => '::1');

is($six->bnd(), "[::1]:$udp", 'the other family: its own address');
$six->close();
$u->close();

ok(wait_for(sub {
    $u = associate(port(8080));
    return $u->rep() == 0;
}), 'the port is free again');
is($u->bnd(), "203.0.113.5:$udp", 'and used');
is(answer($u), 'hello', 'by another client');
$u->close();

# of a server alone

like(associate(port(8081))->bnd(), qr/^203\.0\.113\.6:\d+$/, 'its own');
like(associate(port(8081), host => '::1')->bnd(),
    qr/^\[2001:db8::6\]:\d+$/, 'for IPv6, too');

# what a client says of where its datagrams will come from, is a hint

for my $hint ('0:4660', ':4660', 'a b:1', "-:0", 'localhost:1', '[[::1]]:1') {
    $u = associate(port(8081), to => $hint, type => 'name');
    is($u->rep(), 0, "name: $hint");
    is(answer($u), 'hello', "name: $hint: datagrams");
}

# what is dropped

$u = associate(port(8081));
is(answer($u), 'hello', 'before');

my $own = $u->udp();
my $port = $own->sockport();

for (1 .. 3) {
    move($u);
    $u->send_to($to, 'from another port');
}

ok(wait_log($t, qr/\[info\].* datagram from 127\.0\.0\.1, port \d+, was dropped,/
    . qr/ those of the SOCKS5 client come from 127\.0\.0\.1, port $port/),
    'from another port');

$u->{udp} = $own;
$u->send_to($to, 'fragment', frag => 1) for 1 .. 3;
ok(wait_log($t, qr/\[info\].* was dropped: it is a fragment.*client: /),
    'fragments');
is(answer($u), 'hello', 'all else is served');
is(count_log($t, qr/ was dropped/), 2, 'a line for each, once');


# where the datagrams go, if they go anywhere: NAT would do this

sub associate {
    my ($port, %opts) = @_;
    my $s = socks_udp($port, %opts);

    move($s) if defined $s->rep() && $s->rep() == 0;
    return $s;
}


sub move {
    my ($s) = @_;
    my $bnd = $s->{bnd};

    $s->{bnd} = ($bnd =~ /^\[/ ? '[::1]' : '127.0.0.1')
        . $bnd =~ s/.*(:\d+)$/$1/r;
    $s->open_udp();
    $s->{bnd} = $bnd;
}


sub answer {
    my ($s) = @_;
    my $m = $s->ask($to, 'hello') or return 'no answer';

    return $m->{data};
}
