#!/usr/bin/perl

# Tests for UDP ASSOCIATE in front of a TURN server, over UDP, TCP and TLS.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $turn = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();

turn_conf($turn);

$turn->write_file('nginx.conf', $turn->read_file('nginx.conf')
    =~ s/( +)(trp_turn;)/$1$2\n    }\n\n    server {\n$1listen 127.0.0.1:${
        \port(8481, udp => 1)} udp;\n$1$2/r);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $trp_socks5_user $status";
    access_log %%TESTDIR%%/access.log socks;

    resolver 127.0.0.1:%%PORT_8991_UDP%%;
    resolver_timeout 1s;

    upstream udp {
        server 127.0.0.1:%%PORT_8481_UDP%%;
        trp_turn_client;
        trp_turn_client_user alice:secret;
    }

    upstream tcp {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_secret north bob;
    }

    upstream tls {
        server 127.0.0.1:%%PORT_8479%%;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen [::1]:%%PORT_8080%%;
        trp_socks5;
        trp_socks5_deny 127.0.0.67;
        proxy_pass udp;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_pass tcp;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        proxy_pass tls;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        trp_socks5_udp off;
        proxy_pass udp;
    }

    server {
        listen 127.0.0.1:%%PORT_8084%%;
        trp_socks5;
        trp_socks5_udp_timeout 500ms;
        proxy_timeout 2s;
        proxy_pass udp;
    }
}

EOC

trp_cert($turn, $entry);

my @peers = map { eval { turn_peer($_) } || plan(skip_all => "no $_") }
    qw/ 127.0.0.1 ::1 127.0.0.66 127.0.0.67 127.0.0.2 /;
my ($four, $six, $denied, $forbidden, $other) = map { peer_addr($_) } @peers;
my ($port) = $four =~ /:(\d+)$/;

$entry->run_daemon(\&echo, \@peers, $entry->testdir());
$entry->run_daemon(\&dns, turn_peer('127.0.0.1', port(8991, udp => 1)));

$turn->run();
$entry->run()->plan(3 * 20 + 25 + 2);

# over UDP, TCP and TLS

exchange('udp', port => 8080);
exchange('tcp', port => 8081);
exchange('tls', port => 8082, user => 'bob', password => 'secret');

ok(wait_log($entry, qr/^${\port(8082)} bob 200$/, file => 'access.log'),
    'name in the log');

# who may not

is(socks_udp(port(8082))->method(), 255, 'no password');
is(socks_udp(port(8082), user => 'bob', password => 'x')->auth(), 1,
    'wrong password');
is(socks_udp(port(8083))->rep(), 7, 'off');

# one client over IPv6; and one that says where he comes from

my $u = socks_udp(port(8080), host => '::1');
like($u->bnd(), qr/^\[::1\]:\d+$/, 'client over IPv6');
is(answer($u, $four), "hello $four", 'his datagrams');

my $own = turn_peer('127.0.0.1');
my ($own_port) = peer_addr($own) =~ /:(\d+)$/;
close $own;

$u = socks_udp(port(8080), to => "127.0.0.1:$own_port",
    udp_port => $own_port);
is(answer($u, $four), "hello $four", 'the port that he told');

$u = socks_udp(port(8080), to => "127.0.0.1:$own_port");
$u->send_to($four, 'from another port') for 1 .. 3;
ok(!seen($entry, qr/from another port/), 'not the port that he told');

# rules

$u = socks_udp(port(8080));
$u->send_to($forbidden, 'to forbidden') for 1 .. 3;
$u->send_to($denied, 'to denied') for 1 .. 3;
is(answer($u, $four), "hello $four", 'after destinations that are denied');
ok(!seen($entry, qr/to (?:forbidden|denied)/), 'which get nothing');
ok(wait_log($entry, qr/\[warn\].*(?:not allowed|"trp_socks5_deny")/),
    'a line about ours');
ok(wait_log($entry, qr/\[(?:info|error)\].* 403 /), "and about the server's");

# no TCP connection, no association

my $via = $u->bnd();
ok(!unused($via), 'association');
$u->close();
ok(wait_for(sub { unused($via) }), 'ends with its connection');

# who is idle for long; a destination that was forgotten is found again

$u = socks_udp(port(8084));
is(answer($u, $four), "hello $four", 'timeout: before');

for (1 .. 3) {
    select undef, undef, undef, 0.7;
    $u->send_to($other, 'keeps it');
}

is(answer($u, $four), "hello $four", 'forgotten in between');
like($u->end_of(), qr/^(?:eof|reset)$/, 'end of an idle association');

# many clients with one peer: each has his answers; and with a peer of his own

my @many = map { socks_udp(port(8080)) } 1 .. 10;
is(grep({ $_->rep() == 0 } @many), 10, 'many');
is(grep({ answer($_, $four, "to $_") eq "to $_" } @many), 10, 'one peer');
is(grep({ answer($_, $_->{own} = peer_addr($peers[4]), "and $_") eq "and $_" }
    @many), 10, 'another one');
is(grep({ answer($_, $six, "six $_") eq "six $_" } @many), 10, 'and IPv6');
$_->close() for @many;

# nobody is left, and nobody had an allocation of his own

ok(wait_for(sub { !tcp_count(port(8080)) }), 'all have gone');
my ($now, $total) = split ' ', counters();
cmp_ok($total, '<=', 2 * 10 + 4 + 4, 'allocations');
is(count_log($entry, qr/\[alert\]/), 0, 'no alerts');
is(answer(socks_udp(port(8080)), $four), "hello $four", 'as before');


sub exchange {
    my ($name, %opts) = @_;
    my $u = socks_udp(port(delete $opts{port}), %opts);

    is($u->rep(), 0, "$name: associated");
    like($u->bnd(), qr/^127\.0\.0\.1:\d+$/, "$name: address");

    # the peer gets the data and nothing more, the client its address

    for my $to ($four, $six, $other) {
        my $m = $u->ask($to, "hello $name");
        is($m->{data}, "hello $name", "$name: answer of $to");
        is("$m->{from} $m->{via} $m->{frag}", "$to " . $u->bnd() . ' 0',
            "$name: its address");
    }

    ok(seen($entry, qr/^\S+ hello $name$/), "$name: seen by the peer");

    # names

    my $m = $u->ask("four.example:$port", "name, $name");
    is($m->{data}, "name, $name", "$name: host name");
    like($m->{from}, qr/^(?:four\.example:$port|\Q$four\E)$/, "$name: address");
    is($u->ask($four, 'as a name', type => 'name')->{from}, $four,
        "$name: address as a name");

    # sizes; nothing at all is a datagram as well

    for my $size (0, 1, 3, 1200, 1400) {
        my $data = noise($size);
        my $m = $u->ask($four, $data);
        ok($m && $m->{data} eq $data, "$name: $size bytes");
    }

    # fragments, and what is no header at all

    $u->send_to($four, 'fragment', frag => $_) for 1, 0x81, 255;
    $u->send_to($four, 'reserved', rsv => 1);
    $u->send_to($four, 'unknown type', atyp => 9);
    $u->send_to($four, '', raw => $_) for '', "\0", "\0\0\0", "\0\0\0\1\x7f";
    $u->send_to("nobody.example:$port", 'no such host');
    is(answer($u, $four), "hello $four", "$name: fragments are dropped");

    # from elsewhere

    my $first = $u->udp();
    $u->open_udp();
    $u->send_to($four, 'another port') for 1 .. 3;
    $u->open_udp(udp_from => '127.0.0.2');
    $u->send_to($four, 'another address') for 1 .. 3;
    $u->{udp} = $first;
    is(answer($u, $four), "hello $four", "$name: only from the first port");

    ok(!seen($entry, qr/fragment|reserved|unknown|another (?:port|address)/),
        "$name: nothing else has arrived");
}


# the answer of an echo; what else comes is late

sub answer {
    my ($u, $to, $data) = @_;

    $data = "hello $to" if !defined $data;
    my $m = $u->ask($to, $data) or return 'no answer';

    while ($m && $m->{data} ne $data) {
        $m = $u->receive();
    }

    return $m ? $m->{from} eq $to ? $m->{data} : $m->{from} : 'no answer';
}


# what peers have got

sub seen {
    my ($t, $re) = @_;
    return count_log($t, $re, file => 'peers.log');
}


sub unused {
    my ($addr) = @_;
    my ($port) = $addr =~ /:(\d+)$/;
    return !!eval { turn_peer('127.0.0.1', $port) };
}


sub counters {
    my $s = connect_to(port(8480));
    return scalar <$s>;
}


sub echo {
    my ($peers, $dir) = @_;
    my $select = IO::Select->new(@$peers);

    while (1) {
        for my $s ($select->can_read()) {
            my ($data, $from) = peer_read($s, 0) or next;

            open my $fh, '>>', "$dir/peers.log" or die "can't write: $!\n";
            syswrite $fh, peer_addr($s) . ' ' . ($data =~ s/\W+/ /gr) . "\n";
            peer_send($s, $from, $data);
        }
    }
}


# a name server that knows one name

sub dns {
    my ($socket) = @_;

    $socket->blocking(1);

    while (1) {
        $socket->recv(my $query, 512);

        my ($id, $names) = unpack 'n x10 a*', $query;
        my ($question, $name, $type) = $names =~ /^((.*?\0)(..)..)/s or next;
        my $known = $name eq "\4four\7example\0";

        my $answer = $known && $type eq "\0\1"
            ? pack 'n n n N n/a', 0xc00c, 1, 1, 3600, "\x7f\0\0\1" : '';

        $socket->send(pack('n n n n n n a* a*', $id,
            $known ? 0x8180 : 0x8183, 1, $answer ? 1 : 0, 0, 0, $question,
            $answer));
    }
}
