package Test::Nginx::TRP::QUICTurn;

# An entry and a reverse whose tunnels are QUIC through TURN servers, by UDP.
#
#     quic_turn_server($turn);                     trp's, on port(8478, udp => 1)
#     quic_turn_agents($entry, $reverse, "127.0.0.1:$port");
#
# Users of 8080, 8081, ... by TCP, and of 8980 by UDP, get to 8090, 8091, ... and
# 8990; the relay is that of quic_relay_conf().

use strict;
use warnings;

use Exporter qw/ import /;

use IO::Select;
use Test::Nginx qw/ port /;
use Test::Nginx::TRP;

our @EXPORT = qw/ quic_turn_server quic_turn_agents across /;


# trp's, with more settings of the server {}, on some address

sub quic_turn_server {
    my ($t, %opts) = @_;
    my $address = $opts{address} // '127.0.0.1';
    my $main = $opts{main} // '';

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
$main
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '\$protocol \$trp_turn_username \$trp_turn_peers '
                    '\$trp_turn_bytes_to_peers \$trp_turn_bytes_from_peers';
    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen $address:%%PORT_8478_UDP%% udp reuseport;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_ports 26000-31999;
        trp_turn_external_address $address;
        trp_turn_user alice:secret;
        trp_turn_secret north;
        trp_turn_allow 127.0.0.0/8;
    }
}

EOC
}


# "main", "stream" and "agent" are more settings

sub quic_turn_agents {
    my ($entry, $reverse, $server, %opts) = @_;
    my $main = $opts{main} // '';
    my $stream = $opts{stream} // '';
    my $conf = $opts{agent} // '';

    for my $t ($entry, $reverse) {
        my $p = $t == $entry ? 'trp_entry' : 'trp_reverse';

        my $agent = <<"EOC" =~ s/\bP_/${p}_/gr;
        P_key key;
        P_pool idle=2 max=200;
        P_heartbeat 5s;
        P_ssl_trusted_certificate localhost.crt;
        P_turn udp $server;
        P_turn_user alice:secret;
        $conf
EOC

        $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
$main

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;
    $stream

    upstream relay {
        server 127.0.0.1:%%PORT_8443_UDP%%;
@{[ $t == $entry ? "trp_entry;\n$agent" : '' ]}
    }

    server {
@{[ $t == $entry ? <<'EOR' : "trp_reverse relay;\n$agent" ]}
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        proxy_timeout 3s;
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
EOR
        proxy_pass @{[ $t == $entry ? 'relay' : '$trp_destination' ]};
    }
}

EOC
    }
}


# Sends so many bytes to an echo and reads them back; in the middle of it, $code
# is called.  The number of bytes that are right, all of them if it is well.

sub across {
    my ($s, $bytes, $code, $timeout) = @_;
    my $data = noise($bytes);
    my ($sent, $right) = (0, 0);

    $s->blocking(0);

    while ($right < $bytes) {
        my ($r, $w) = IO::Select->select(IO::Select->new($s),
            $sent < $bytes ? IO::Select->new($s) : undef, undef,
            $timeout // 30);
        last if !$r;

        if (@$w) {
            my $n = syswrite $s, $data, 65536, $sent;
            last if !defined $n && !$!{EAGAIN};
            $sent += $n // 0;
        }

        if (@$r) {
            my $n = sysread $s, my $got, 65536;
            next if !defined $n && $!{EAGAIN};
            last if !$n || $got ne substr $data, $right, $n;
            $right += $n;
        }

        if ($code && $right >= $bytes / 3) {
            $code->();
            undef $code;
        }
    }

    $s->blocking(1);

    return $right;
}


1;
