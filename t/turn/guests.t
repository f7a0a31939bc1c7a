#!/usr/bin/perl

# Tests for strangers at a TURN server's TCP and TLS ports: they have one
# deadline to get an allocation, a bounded number of places and of bytes, and
# take turns with everybody else.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 128;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_external_address 127.0.0.1;
    trp_turn_allow 127.0.0.0/8;

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        listen 127.0.0.1:%%PORT_8479%% ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        trp_turn;
        trp_turn_allocate_timeout 2s;
        trp_turn_max_unauthenticated 8;
        trp_turn_max_per_address 4;
    }
}

EOC

trp_cert($t);
$t->run()->plan(22);

# many, who say a little

for my $port (8478, 8479) {
    my @strangers = map { stranger($port) } 1 .. 150;

    for my $transport (qw/ tcp tls /) {
        my $c = client($transport);
        is($c->allocate()->{code}, 0, "$transport: beside strangers at $port");
        $c->close();
    }

    ok(wait_log($t, qr/too many (?:in this worker|from its address) are not /
        . qr/authenticated/), "some of them gave way at $port");
    ok(wait_for(sub { open_of(@strangers) <= 64 }), 'no more than half stay');
    close $_ for @strangers;
}

# who has an allocation is no stranger

my $own = client('tcp', 8480, from => '127.0.0.3');
is($own->allocate()->{code}, 0, 'an allocation');

my @others = map { stranger(8480) } 1 .. 12;
ok(wait_for(sub { open_of(@others) <= 4 }), 'four of one address');
is($own->refresh()->{code}, 0, 'the allocation is there');

my $c = client('tcp', 8480);
is($c->allocate()->{code}, 0, 'another address finds a place');
$c->close();
close $_ for @others;

# what they send gives them no more time

my $slow = stranger(8480);

ok(wait_for(sub {
    select undef, undef, undef, 0.1;
    syswrite $slow, channel_data(0x4000, '');
    return !open_of($slow);
}), 'a stranger who goes on to send');
ok(wait_log($t, qr/TURN client has no allocation/), 'a line');

$c = client('tcp', 8480);
ok(wait_for(sub {
    return 1 if $c->end();
    $c->binding(timeout => 1);
    return $c->end();
}), 'one who has Binding answered');
is($own->refresh()->{code}, 0, 'who has an allocation stays');
is($own->refresh(0)->{code}, 0, 'until it is deleted');
ok(wait_for(sub { !open_of($own->socket()) }), 'and the time is over again');

# what they may send

for my $bytes (channel_data(0x4000, 'x' x 60000, pad => 1),
    stun_message('binding', [ '0xc000' => 'x' x 60000 ]))
{
    my $s = stranger(8478, "");

    syswrite $s, substr $bytes, 0, 5000;
    ok(wait_for(sub { !open_of($s) }), 'a long message of a stranger');
}

is(count_log($t, qr/without an allocation sent a message of 6\d{4} bytes/), 2,
    'lines');

$c = client('tcp');
$c->allocate();
is($c->binding(attrs => [ '0xc000' => 'x' x 60000 ])->{code}, 0,
    'one of somebody who has an allocation');


# the first byte of some ChannelData or message

sub stranger {
    my ($port, $first) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . port($port),
        LocalAddr => '127.0.0.2') or die "no connection: $!\n";

    $s->blocking(0);
    syswrite $s, defined $first ? $first : "\0" if $port != 8480;
    return $s;
}


# nothing is said to them, so what can be read is the end

sub open_of {
    return scalar grep { !IO::Select->new($_)->can_read(0) } @_;
}


sub client {
    my ($transport, $port, %opts) = @_;

    return turn(port => port($port || ($transport eq 'tls' ? 8479 : 8478)),
        transport => $transport, user => 'alice', password => 'secret',
        %opts);
}
