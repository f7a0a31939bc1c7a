#!/usr/bin/perl

# Tests for a ConnectionBind (RFC 6062) that comes to a worker of an older
# generation than the one that has the connection: it is handed over, as the
# other way round.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

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
        listen 127.0.0.1:%%PORT_8478%% reuseport;
        listen 127.0.0.1:%%PORT_8479%% ssl reuseport;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }
}

EOC

trp_cert($t);

$t->run()->plan(3 * 2 + 1);

for my $n (1 .. 3) {

    # of old workers, which wait for an Allocate for some seconds

    my @data = map { known($_ % 2 ? 'tcp' : 'tls') } 1 .. 8;

    reload_and_wait($t);

    my @controls = map { known('tcp') } 1 .. 4;
    is(grep({ $_->allocate([], protocol => 'tcp')->{code} eq '0' } @controls),
        4, "$n: new allocations");

    my @got = map { joined($controls[$_ % 4], $data[$_]) } 0 .. $#data;
    is(join(', ', grep { $_ ne 'there and back' } @got), '',
        "$n: of new workers, to old ones");

    $_->close() for @data, @controls;
}

is(count_log($t, qr/\[(?:emerg|alert|crit|error)\]/), 0, 'no errors');


# a client that has a nonce

sub known {
    my ($transport) = @_;
    my $c = turn(port => port($transport eq 'tls' ? 8479 : 8478),
        transport => $transport, user => 'alice', password => 'secret');

    $c->call('refresh');
    return $c;
}


sub joined {
    my ($control, $data) = @_;
    my $listener = listener(0);

    my $id = $control->call('connect',
        [ 'xor-peer-address' => peer_addr($listener) ])
        ->{attr}->{'connection-id'};
    my $peer = $listener->accept();

    my $r = $data->call('connectionbind', [ 'connection-id' => $id ]);
    return "connectionbind: $r->{code}" if $r->{code} ne '0';

    $data->write('there and ');
    sysread $peer, my $text, 10;
    syswrite $peer, 'back';

    return $text . $data->read_bytes(4);
}
