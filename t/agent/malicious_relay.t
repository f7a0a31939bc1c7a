#!/usr/bin/perl

# A relay with a good certificate and bad intentions: it asks for more tunnels
# than an agent has connections for, and closes tunnels that it has opened
# streams on.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use Time::HiRes qw/ time /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $reverse = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 100;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=1;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($reverse);
trp_keys($reverse, 'reverse');
serve($reverse, port(8081), 'echo');

my $dir = $reverse->testdir();
my $listener = listener(port(8443));

$reverse->run()->plan(4);

# wants as many as there can be, in each READY

my @tunnels;

while (my $c = tunnel(@tunnels ? 3 : 30)) {
    push @tunnels, $c;
    $c->send('READY', pack 'C n', 0, 65535);
    last if @tunnels > 60;
}

cmp_ok(scalar @tunnels, '<=', 33, 'a third of the connections');
cmp_ok(scalar @tunnels, '>=', 25, 'and not much less');

# each of them finds connections for its stream

$_->send('OPEN', open_payload(port => port(8081))) for @tunnels;
is(scalar(grep { $_->expect('ACCEPT') } @tunnels), @tunnels, 'streams');

$_->close() for splice @tunnels;

# A handshake for a tunnel that is closed at once: more and more seldom.  The
# first ones are dialled by now, in place of those.

my $count = 0;
my $deadline = time() + 5;

while ((my $left = $deadline - time()) > 0) {
    my $c = tunnel($left) or last;

    $count++;
    $c->send('READY', pack 'C n', 0, 65535);
    $c->send('OPEN', open_payload(port => port(8081)));
    $c->expect('ACCEPT', timeout => 5);
    $c->close();
}

cmp_ok($count, '<', 50, "$count tunnels of no use");


sub tunnel {
    my ($timeout) = @_;

    IO::Select->new($listener)->can_read($timeout) or return;
    my $s = $listener->accept() or return;

    my $ssl = IO::Socket::SSL->start_SSL($s,
        SSL_server => 1,
        SSL_cert_file => "$dir/localhost.crt",
        SSL_key_file => "$dir/localhost.key",
        SSL_alpn_protocols => [ 'trp/2' ],
        Timeout => 10,
    ) or return;

    $ssl->blocking(0);

    my $c = bless { socket => $ssl, in => '', timeout => 10 },
        'Test::Nginx::TRP::Client';

    $c->send('HELLO', pack 'C a32 N', 2, 'n' x 32, 20000);
    $c->expect('AUTH') or return;

    return $c;
}
