#!/usr/bin/perl

# Tests for more than 256 workers of a TURN server: a ConnectionBind (RFC 6062)
# that comes to any of them finds its connection, and counters are right.  And
# for more than there can be.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream;
use Test::Nginx::TRP;
use Test::Nginx::TRP::TURN;

use constant CLIENTS => 40;

my $t = Test::Nginx->new()->has(qw/ stream stream_return /);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes WORKERS;
worker_shutdown_timeout 100ms;

events {
    worker_connections 128;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_zone turn SIZE;

    server {
        listen 127.0.0.1:%%PORT_8478%% reuseport;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
    }

    server {
        listen 127.0.0.1:%%PORT_8479%%;
        return $trp_turn_allocations;
    }
}

EOC

$t->plan(5);

write_conf(2000, '8m');
like(nginx_test($t), qr/write "worker_processes 1023" or less$/m,
    'too many workers');

write_conf(300, '1m');
like(nginx_test($t),
    qr/write "worker_processes 256" or less, or a larger "trp_turn_zone"$/m,
    'too many for the zone');

write_conf(300, '8m');
$t->run();

my @controls = map { client() } 1 .. CLIENTS;
is(grep({ $_->allocate([], protocol => 'tcp')->{code} eq '0' } @controls),
    CLIENTS, 'allocated');

is(join(', ', grep { $_ ne 'hello' } map { echo($_) } @controls), '',
    'each data connection to its peer');

ok(wait_for(sub { allocations() == CLIENTS }), 'all are counted');


sub echo {
    my ($control) = @_;
    my $listener = listener(0);

    my $id = $control->call('connect',
        [ 'xor-peer-address' => peer_addr($listener) ])
        ->{attr}->{'connection-id'};
    my $peer = $listener->accept();

    my ($data, $r) = $control->bind_connection($id);
    return "connectionbind: $r->{code}" if $r->{code} ne '0';

    $data->write('hello');
    sysread $peer, my $text, 10;
    return $text;
}


sub allocations {
    return Test::Nginx::Stream->new(PeerAddr => '127.0.0.1:' . port(8479))
        ->read();
}


sub client {
    return turn(port => port(8478), transport => 'tcp', user => 'alice',
        password => 'secret');
}


sub write_conf {
    my ($workers, $size) = @_;

    $t->write_file_expand('nginx.conf',
        $conf =~ s/WORKERS/$workers/r =~ s/SIZE/$size/r);
}
