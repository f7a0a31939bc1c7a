package Test::Nginx::TRP::Conf;

# Configurations of servers that a test needs, but does not test.  Each
# function writes nginx.conf into the directory of an nginx; ports are written
# as in the test's own configuration, 8443 for port(8443).

use strict;
use warnings;

use Exporter qw/ import /;

use Test::Nginx;

our @EXPORT = qw/ hub_conf relay_conf quic_relay_conf reverse_conf turn_conf
    port_range /;


# A relay on each of the ports, with only the settings that it needs.  It
# reads localhost.crt, localhost.key and authorized_keys.

sub relay_conf {
    my ($t, @ports) = @_;

    _write($t, join("\n", map { <<"EOC" } @ports));
    server {
        listen 127.0.0.1:$_ ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC
}


# A relay on 8443 for QUIC, and on 8444 for TLS.  "relay" and "main" are more
# settings.

sub quic_relay_conf {
    my ($t, %conf) = @_;
    my $relay = $conf{relay} // '';

    _write($t, <<"EOC", $conf{main});
    server {
        listen 127.0.0.1:8444 ssl;
        listen 127.0.0.1:%%PORT_8443_UDP%% udp reuseport;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
        $relay
    }
EOC
}


# A relay on 8443 and users of its own nginx: 8080, or "user", leads to 8090 of a
# reverse's machine.  "relay", "upstream" and "server" are more settings of the server
# with "trp_relay", of the upstream and of the route's server, "stream" those of
# stream {}, with servers.  Its access.log has $trp_status and $status.

sub hub_conf {
    my ($t, %conf) = @_;
    my $user = sprintf '%%%%PORT_%d%%%%', $conf{user} // 8080;
    my %more = map { $_ => $conf{$_} // '' }
        qw/ relay upstream server stream main /;

    _write($t, <<"EOC", $more{main});
    log_format hub "\$trp_status \$status";
    access_log %%TESTDIR%%/access.log hub;

    proxy_half_close on;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
        access_log off;
        $more{relay}
    }

    upstream hub {
        trp_entry local;
        $more{upstream}
    }

    server {
        trp_route $user:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass hub;
        $more{server}
    }

$more{stream}
EOC
}


# A reverse of the relays on these ports.  It reads the key "reverse" and
# localhost.crt, and connects to every loopback address.

sub reverse_conf {
    my ($t, @ports) = @_;
    my $servers = join '', map { "        server 127.0.0.1:$_;\n" } @ports;

    _write($t, <<"EOC");
    upstream relay {
$servers    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_pass \$trp_destination;
    }
EOC
}


# The first of so many ports that are one after another: those from this number
# on if they are free; udp => 1 as for port().

sub port_range {
    my ($wanted, $n, %opts) = @_;

    for my $base (map { $wanted + $_ * $n } 0 .. 20) {
        my @ports = map { port($_, %opts) } $base .. $base + $n - 1;

        return $base if !grep { $ports[$_] != $base + $_ } 0 .. $n - 1;
    }

    die "no $n free ports from $wanted\n";
}


sub _write {
    my ($t, $blocks, $main) = @_;

    $main //= '';

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
$main

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

$blocks}

EOC
}


# A TURN server that lets clients reach anything on this machine: TCP on 8478
# and TLS on 8479 with localhost.crt, the user alice with the password "secret",
# the secret "north".  127.0.0.66 is denied.  8480 says how many allocations
# there are, and how many there have been.  There may be more settings.

sub turn_conf {
    my ($t, $more) = (@_, '');

    $t->write_file_expand('nginx.conf', <<'EOC' =~ s/MORE/$more/r);

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_turn_realm example.org;
    trp_turn_user alice:secret;
    trp_turn_secret north;
    trp_turn_external_address 127.0.0.1;
    trp_turn_external_address ::1;
    trp_turn_allow 127.0.0.0/8 ::1;
    trp_turn_deny 127.0.0.66;
    trp_turn_tcp_allocations on;
    trp_turn_unauthenticated_rate 10000r/s;
    trp_turn_quota user=1000 address=1000;
    MORE

    server {
        listen 127.0.0.1:%%PORT_8478%%;
        listen 127.0.0.1:%%PORT_8479%% ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_turn;
    }

    server {
        listen 127.0.0.1:%%PORT_8480%%;
        return "$trp_turn_allocations $trp_turn_total_allocations";
    }
}

EOC
}


1;
