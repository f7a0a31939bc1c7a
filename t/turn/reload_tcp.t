#!/usr/bin/perl

# Tests for TCP allocations (RFC 6062) that live through reloads: transfers go
# on, and control connections of old workers still get new connections, whose
# ConnectionBind comes to a new worker.

use strict;
use warnings;

use Test::More;

use POSIX ();

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $reloads = $ENV{TRP_RELOADS} || 20;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        listen 127.0.0.1:%%PORT_8479%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 22000-25999;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }
}

EOC

# a peer at every address of the loopback

my $listener = IO::Socket::INET->new(Proto => 'tcp', Listen => 1024,
    LocalAddr => '0.0.0.0', LocalPort => port(8081), ReuseAddr => 1)
    or die "can't listen: $!\n";

serve_on($t, $listener, 'echo');
trp_cert($t);

my $peers = 0;
my $text = noise(30_000);
my @transports = qw/ tcp tls /;
my $stop = $t->testdir() . '/stop';

$t->run()->plan(2 + 4 * $reloads + 4 + 3);

# allocations in both workers, each with a transfer that goes on

my (%controls, @transfers);

for my $transport (@transports) {
    $controls{$transport} = [ map { control($transport) } 1 .. 4 ];

    my @open = map { opened($_, ++$peers) } @{$controls{$transport}};

    is(grep({ $_ } @open), 4, "$transport: connections");

    push @transfers, map { background($_->socket()) } grep { $_ } @open;
    $_->close() for grep { $_ } @open;
}

for my $n (1 .. $reloads) {
    reload_and_wait($t);

    for my $transport (@transports) {
        my @controls = @{$controls{$transport}};

        # the first ones are of old workers

        is(grep({ works(opened($_, ++$peers), $text) } @controls), 4,
            "$n, $transport: new connections");
        is(grep({ works(attempted($_), $text) } @controls), 4,
            "$n, $transport: from the peer");

        # two of each generation

        splice @{$controls{$transport}}, 2, 1;
        push @{$controls{$transport}}, control($transport);
    }
}

# the transfers have lost nothing

$t->write_file('stop', '');

my @results = map { waitpid $_, 0; $? } @transfers;

is(grep({ $_ == 0 } @results), 8, 'transfers');

for my $transport (@transports) {
    is(grep({ $_->refresh()->{code} eq '0' } @{$controls{$transport}}), 4,
        "$transport: allocations");
}

cmp_ok(() = worker_pids($t, qr/shutting down/), '>', 0, 'old workers');

# and old workers end

$_->close() for map { @$_ } values %controls;
%controls = ();

is(wait_for(sub { (() = worker_pids($t, qr/worker process/)) == 2 }), 1,
    'old workers end');
is((() = worker_pids($t)), 2, 'new workers');
is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');


# an allocation

sub control {
    my ($transport) = @_;

    my $c = turn(port => port($transport eq 'tls' ? 8479 : 8478),
        transport => $transport, user => 'alice', password => 'secret');

    my $r = $c->allocate([], protocol => 'tcp');
    diag("$transport: allocate: $r->{code}") if $r->{code} ne '0';
    return $c;
}


# a data connection to another peer each time

sub opened {
    my ($c, $n) = @_;
    my $peer = sprintf '127.1.%d.%d:%d', $n / 250, 1 + $n % 250, port(8081);

    my $r = $c->call('connect', [ 'xor-peer-address' => $peer ]);
    return bound($c, $r, 'connect');
}


# one that a peer has opened

sub attempted {
    my ($c) = @_;

    $c->permit('127.0.0.1');
    my $s = IO::Socket::INET->new(Proto => 'tcp', PeerAddr => $c->relayed())
        or return diag("no connection to the relay: $!") && undef;

    # it answers as the echo server does

    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        while (sysread $s, my $data, 65536) {
            syswrite $s, $data;
        }
        POSIX::_exit(0);
    }

    my $m = $c->expect('connectionattempt');
    return bound($c, $m || { code => 'nothing' }, 'attempt');
}


sub bound {
    my ($c, $r, $what) = @_;
    my $id = ($r->{attr} || {})->{'connection-id'};

    return diag("$what: $r->{code}") && undef if !defined $id;

    my ($data, $answer) = $c->bind_connection($id);
    return $data if $answer->{code} eq '0';

    diag("$what: connectionbind: $answer->{code}");
    return;
}


sub works {
    my ($data, $text) = @_;

    return 0 if !$data;
    $data->write($text);
    return $data->read_bytes(length $text) eq $text ? 1 : 0;
}


# transfers until the end, in a process of its own

sub background {
    my ($s) = @_;
    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;
    return $pid if $pid;

    my $ok = 1;

    while ($ok && !-e $stop) {
        my $r = transfer($s, 20_000, fin => 0);
        $ok = $r->{end} eq 'open' && $r->{received_sha} eq $r->{sent_sha};
        select undef, undef, undef, 0.1;
    }

    POSIX::_exit($ok ? 0 : 1);
}
