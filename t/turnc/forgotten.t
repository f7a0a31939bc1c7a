#!/usr/bin/perl

# Tests for SOCKS5 in front of TURN servers that have forgotten an allocation,
# and say so in answer to Refresh alone: what else presupposes it is answered
# 400, or not at all.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream udp /)->plan(23);

# what becomes of requests to the server that has forgotten, and of data

my @cases = (
    [ '400, a new peer', 400, new => 1 ],
    [ '400, by TCP', 400, new => 1, tcp => 1 ],
    [ 'silence, a new peer', 'drop', new => 1 ],
    [ 'silence, the same peer', 'drop' ],
    [ 'silence, by TCP', 'drop', tcp => 1 ],
);

$t->write_file_expand('nginx.conf', <<'EOC' . servers() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

EOC

my @peers = map { turn_peer('127.0.0.1') } 1, 2;
my @to = map { peer_addr($_) } @peers;

$t->run_daemon(\&echo_datagrams, $_) for @peers;

for my $i (0 .. $#cases) {
    my ($name, $what, %opts) = @{$cases[$i]};

    fake_turn($t, turn_port($i), udp => !$opts{tcp}, name => "server$i",
        on => forgetful($i, $what));
}

# for CONNECT: the server forgets the allocation, not the connection

my $stream = @cases;

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalAddr => '0.0.0.0',
    LocalPort => port(8090), ReuseAddr => 1) || die("no peer: $!\n"), 'echo');
fake_turn($t, port(8200 + $stream), name => "server$stream",
    on => forgetful($stream, 400));

# one that has nothing to forget, and does not like a peer

fake_turn($t, port(8250, udp => 1), udp => 1, name => 'dislikes', on => {
    channelbind => sub {
        return $_[1]->{attr}->{'xor-peer-address'} eq $to[1] ? 400 : undef;
    },
    createpermission => sub { 400 },
});

$t->run();

for my $i (0 .. $#cases) {
    my ($name, $what, %opts) = @{$cases[$i]};
    my $u = socks_udp(port(8300 + $i), timeout => 15);

    is(answer($u, $to[0]), "hello $to[0]", "$name: before");

    $t->write_file("forget$i", '');

    ok(wait_for(sub { answer($u, $to[$opts{new} || 0]) =~ /^hello/ }),
        "$name: served again");
    is(count_log($t, qr/ refresh 437/, file => "server$i.log"), 1,
        "$name: it was asked once");

    $u->close();
}

my $c = socks(port(8300 + $stream), '127.0.0.1:' . port(8090));
is($c->echo('SEE'), 'SEE', 'a connection');

$t->write_file("forget$stream", '');

my $d = socks(port(8300 + $stream), '127.0.0.2:' . port(8090));
is($d->rep(), 0, 'another one, by another allocation');
is($d->echo('SEE'), 'SEE', 'and it works');

# who is refused is no reason to ask all the time

my $u = socks_udp(port(8350), timeout => 15);
is(answer($u, $to[0]), "hello $to[0]", 'a server that dislikes a peer');

ok(wait_for(sub {
    answer($u, $to[1]);
    return count_log($t, qr/ channelbind 400/, file => 'dislikes.log') >= 4;
}), 'which is tried now and then');

is(answer($u, $to[0]), "hello $to[0]", 'the other one is served meanwhile');

my $tries = count_log($t, qr/ createpermission 400/, file => 'dislikes.log');
my $refreshes = count_log($t, qr/ refresh 0/, file => 'dislikes.log');

cmp_ok($refreshes, '<', $tries, 'more tries than Refreshes');
is(count_log($t, qr/ allocate 0/, file => 'dislikes.log'), 1,
    'and one allocation');


# The first allocation is forgotten when there is a file.

sub forgetful {
    my ($i, $what) = @_;
    my $file = $t->testdir() . "/forget$i";
    my $first;

    my $gone = sub {
        my ($c, $then) = @_;
        return defined $first && $c->{number} eq $first && -e $file ? $then
            : undef;
    };

    return {
        allocate => sub {
            my ($n, $m, $c) = @_;
            $first = $c->{number} if !defined $first;
            return;
        },
        channelbind => sub { $gone->($_[2], $what) },
        createpermission => sub { $gone->($_[2], $what) },
        connect => sub { $gone->($_[2], $what) },
        refresh => sub { $gone->($_[2], 437) },
        data => sub { $gone->($_[2], 1) },
    };
}


sub answer {
    my ($u, $to) = @_;

    $u->send_to($to, "hello $to");
    my $m = $u->receive(0.5) or return 'no answer';

    return $m->{data};
}


sub turn_port {
    my ($i) = @_;

    my ($name, $what, %opts) = @{$cases[$i]};

    return port(8200 + $i, $opts{tcp} ? () : (udp => 1));
}


sub servers {
    my @servers = map {
        my ($name, $what, %opts) = @{$cases[$_]};
        server($_, $opts{tcp} ? 'tcp' : 'udp');
    } 0 .. $#cases;

    return join '', @servers, server(scalar @cases, 'tcp'), server(50, 'udp');
}


sub server {
    my ($i, $transport) = @_;
    my $port = $transport eq 'udp' ? "%%PORT_${\(8200 + $i)}_UDP%%"
        : "%%PORT_${\(8200 + $i)}%%";

    return <<"EOC";
    upstream turn$i {
        server 127.0.0.1:$port;

        trp_turn_client $transport;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:${\(8300 + $i)};
        trp_socks5;
        proxy_pass turn$i;
    }

EOC
}
