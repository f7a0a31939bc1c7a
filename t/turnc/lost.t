#!/usr/bin/perl

# Tests for SOCKS5 in front of a TURN server that dies and comes back: whoever
# is connected sees a reset, whoever is new is served as soon as it is there.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

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

    upstream tcp {
        server 127.0.0.1:%%PORT_8478%% max_fails=0;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
    }

    upstream tls {
        server 127.0.0.1:%%PORT_8479%% max_fails=0;
        trp_turn_client tls;
        trp_turn_client_user alice:secret;
        trp_turn_client_ssl_trusted_certificate localhost.crt;
    }

    upstream udp {
        server 127.0.0.1:%%PORT_8481_UDP%% max_fails=0;
        trp_turn_client;
        trp_turn_client_user alice:secret;
        trp_turn_client_connect_timeout 2s;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass tcp;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass tls;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        proxy_pass udp;
    }
}

EOC

trp_cert($turn, $entry);
$turn->todo_alerts();
serve($entry, port(8090), 'echo');

my $peer = turn_peer();
my $to = peer_addr($peer);
$entry->run_daemon(\&echo_datagrams, $peer);

$turn->run();
$entry->run()->plan(2 * 2 * 6 + 6 + 2);

my $target = '127.0.0.1:' . port(8090);

for my $case ([ 'tcp', 8080 ], [ 'tls', 8081 ]) {
    my ($name, $port) = ($case->[0], port($case->[1]));

    for my $how (qw/ KILL TERM /) {
        my $c = socks($port, $target);
        my $u = socks_udp($port);

        is($c->echo('SEE'), 'SEE', "$name, $how: TCP");
        is(answer($u, $to), 'hello', "$name, $how: UDP");

        kill $how, worker_pids($turn);

        # a kernel that closes for the dead one sends a FIN; TLS knows better

        like(end_of($c->socket()), "$name $how" eq 'tcp KILL'
            ? qr/^(?:eof|reset)$/ : qr/^reset$/, "$name, $how: end");

        # a worker that was killed is there again

        my $new;
        ok(wait_for(sub {
            $new = socks($port, $target);
            return defined $new->rep() && $new->rep() == 0;
        }), "$name, $how: new ones");
        is($new->echo('SEE'), 'SEE', "$name, $how: their echo");

        $u = socks_udp($port) if answer($u, $to) ne 'hello';
        is(answer($u, $to), 'hello', "$name, $how: UDP again");
    }
}

# none at all for a while

my $u = socks_udp(port(8082));
is(answer($u, $to), 'hello', 'UDP');
$turn->stop();

is(socks(port(8080), $target)->rep(), 1, 'no server');
$turn->run();
is(socks(port(8080), $target)->rep(), 0, 'a new server');
is(socks(port(8081), $target)->rep(), 0, 'over TLS');

# over UDP the client hears of it when it asks for something

$u->close();
ok(wait_for(sub { answer(socks_udp(port(8082)), $to) eq 'hello' }),
    'over UDP');

is(count_log($turn, qr/\[alert\](?!.* exited on signal 9)/), 0,
    'no other alerts');


sub answer {
    my ($u, $to) = @_;

    return 'no association' if !$u->udp();
    my $m = $u->ask($to, 'hello', rto => 0.5);
    return $m ? $m->{data} : 'no answer';
}
