#!/usr/bin/perl

# Tests for nonces over TCP and TLS: a client uses that of its control
# connection on data connections (RFC 6062), where a port of its own does not
# tell clients apart.  Over UDP it does.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return stream_set
    socket_ssl udp /);
my $entry = Test::Nginx->new();

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

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;
    trp_turn_tcp_allocations on;

    server {
        listen 127.0.0.1:%%PORT_8478%% reuseport;
        listen 127.0.0.1:%%PORT_8479%% ssl reuseport;
        listen 127.0.0.1:%%PORT_8480_UDP%% udp reuseport;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8481%%;
        set $bound $trp_turn_responses_connectionbind_200;
        set $stale $trp_turn_responses_connectionbind_438;
        return "$bound $stale";
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream turn {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass turn;
    }
}

EOC

trp_cert($t);

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalPort => port(8482),
    LocalAddr => '0.0.0.0', ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

$t->run();
$entry->run()->plan(17 + 2);

# the first request of a data connection has the control connection's nonce

my $peers = 0;
my %control;

for my $transport (qw/ tcp tls /) {
    my $c = $control{$transport} = client($transport);
    $c->allocate([], protocol => 'tcp');

    my @codes = map { bind_once($c, connection($c))->{code} } 1 .. 8;
    is("@codes", "@{[ (0) x 8 ]}", "$transport: data connections");

    my $r = bind_once($c, connection($c), nonce => 'x' x 24);
    is($r->{code}, 438, "$transport: another nonce");
    is($r->{attr}->{realm}, 'example.org', "$transport: a challenge");

    is(bind_once($c, connection($c), from => '127.0.0.2')->{code}, 438,
        "$transport: another address");

    # between the two as well: it is the same client

    my $other = $transport eq 'tcp' ? 'tls' : 'tcp';
    my $d = client($other, nonce => $c->{nonce}, realm => $c->{realm});
    is($d->call('refresh', [], retry => 0)->{code}, 437, "$other: the same");
}

# who sends datagrams may not be who it says

my $udp = client('udp');
my $r = $udp->call('allocate', [], retry => 0);
$udp->learn($r);

is($udp->call('refresh', [], retry => 0)->{code}, 437, 'udp: its own');

for my $nonce ($udp->{nonce}, map { $control{$_}->{nonce} } qw/ tcp tls /) {
    is(client('udp', nonce => $nonce, realm => 'example.org')
        ->call('refresh', [], retry => 0)->{code}, 438, 'udp: from elsewhere');
}

is(client('tcp', nonce => $udp->{nonce}, realm => 'example.org')
    ->call('refresh', [], retry => 0)->{code}, 438, 'tcp: from a datagram');

# our own client pays no round trip

wait_for(sub { counts() eq '16 4' });

my @socks = map { socks(port(8080), "127.0.2.$_:" . port(8482)) } 1 .. 5;
is(join(' ', map { $_->echo('hello') ? 'ok' : 'no' } @socks),
    'ok ok ok ok ok', 'our own client: connections');

wait_for(sub { counts() =~ /^21 / });
is(counts(), '21 4', 'our own client: no round trip in vain');


# the id of a connection to a peer that was not used before

sub connection {
    my ($c) = @_;
    my $r = $c->call('connect', [ 'xor-peer-address'
        => '127.0.1.' . ++$peers . ':' . port(8482) ]);

    return $r->{attr}->{'connection-id'};
}


# ConnectionBind, with the nonce of the control connection, and no second one

sub bind_once {
    my ($c, $id, %opts) = @_;
    my $data = client($c->{transport}, nonce => $c->{nonce},
        realm => $c->{realm}, %opts);

    return $data->call('connectionbind', [ 'connection-id' => $id ],
        retry => 0);
}


sub client {
    my ($transport, %opts) = @_;
    my %ports = (tcp => port(8478), tls => port(8479),
        udp => port(8480, udp => 1));

    return turn(port => $ports{$transport}, transport => $transport,
        user => 'alice', password => 'secret', %opts);
}


# how often ConnectionBind was answered 200, and 438

sub counts {
    return turn(transport => 'tcp', port => port(8481))->read_bytes();
}
