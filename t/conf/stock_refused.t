#!/usr/bin/perl

# Stock directives and parameters that stand beside ours and could not be
# honoured stop "nginx -t" with a sentence; docs/stock.md is the table.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my %configs = (
    relay => <<'EOC',
    server {
        listen 127.0.0.1:8080 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC
    entry => <<'EOC',
    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:22 bind=127.0.0.1;
        proxy_pass relay;
    }
EOC
    socks5 => <<'EOC',
    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_pass relay;
    }
EOC
    reverse => <<'EOC',
    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key auth;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
EOC
    turn => <<'EOC',
    limit_conn_zone $remote_addr zone=addr:1m;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:8478;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
    }
EOC
);

my %place = (
    relay => 'trp_relay;',
    entry => 'trp_route',
    socks5 => 'trp_socks5;',
    reverse => 'trp_reverse relay;',
    turn => 'trp_turn;',
);

# role, what to replace, by what, message; what is replaced by itself with a
# directive in front is the place of the role

my @tests = (
    [ 'entry', '', 'proxy_ssl on;', qr/"proxy_ssl" .*, the tunnel has TLS / ],
    [ 'entry', '', 'proxy_bind 127.0.0.2;',
        qr/"proxy_bind" .*, tunnels are there before.* at the reverse$/m ],
    [ 'entry', '127.0.0.1;', '127.0.0.1 udp proxy_protocol;',
        qr/"proxy_protocol" parameter is incompatible with "udp"/ ],
    [ 'entry', '', 'listen 127.0.0.1:8082;', qr/"listen" cannot be used beside /
        . qr/"trp_route" .*, write "trp_route PORT:PORT" in place of it$/m ],

    [ 'socks5', '', 'proxy_ssl on;', qr/"proxy_ssl" .* its own affair/ ],
    [ 'socks5', '', 'proxy_bind 127.0.0.2;', qr/"proxy_bind" .*, leave it out/
        ],
    map({ [ 'socks5', '', "$_;", qr/"${\(split ' ')[0]}" .*does not hold for /
        . qr/datagrams, write "trp_socks5_udp off", too$/m ] }
        'proxy_upload_rate 100k', 'proxy_download_rate 100k',
        'proxy_protocol on'),
    [ 'socks5', 'listen 127.0.0.1:8081;',
        'listen 127.0.0.1:%%PORT_8478_UDP%% udp;',
        qr/cannot be used with "listen \.\.\. udp"/ ],
    [ 'socks5', '', 'trp_route %%PORT_8081%%:22 bind=127.0.0.2;',
        qr/cannot be used with "trp_route"/ ],

    map({ [ 'reverse', '8080;', "8080 $_; server 127.0.0.1:8082;", qr/has "${\(split '=')[0]}", but /
        . qr/"trp_reverse" keeps tunnels to all servers, write it at the entry/
        ] } qw/ weight=2 max_conns=2 max_fails=0 max_fails=3 fail_timeout=1s
            backup /),
    map({ [ 'reverse', 'server 127.0.0.1:8080;', "$_; server 127.0.0.1:8080;",
        qr/has a load balancing method, but "trp_reverse" keeps / ] }
        'least_conn', 'random', 'hash $remote_addr'),

    [ 'relay', '', 'ssl_alpn h2;', qr/"ssl_alpn" .*always "trp\/2", leave it/ ],
    map({ [ 'relay', ' ssl;', " ssl so_keepalive=$_;",
        qr/"so_keepalive" .*, write "trp_relay_heartbeat TIME"/ ] }
        qw/ off 30m::10 /),
    [ 'relay', ' ssl;', ';', qr/needs TLS, write "listen PORT ssl"/ ],

    [ 'turn', '', 'deny 10.0.0.0/8;', qr/"allow" cannot .* neither can "deny": /
        . qr/.* over UDP, write them into a server without "listen \.\.\. udp"/
        ],
    [ 'turn', '', 'allow 2001:db8::/32;', qr/"allow" cannot .* over UDP/ ],
    [ 'turn', '', 'limit_conn addr 10;', qr/"limit_conn" .*over UDP, write /
        . qr/"trp_turn_quota address=NUMBER"/ ],
    [ 'turn', '%%PORT_8478_UDP%% udp;', '%%PORT_8478_UDP%% udp; listen '
        . 'unix:%%TESTDIR%%/unix.sock;', qr/"trp_turn" .*"listen unix:", where /
        . qr/clients have no address, write an address and a port$/m ],
    [ 'entry', '127.0.0.1;', '127.0.0.1; trp_route %%PORT_8082%%:22 '
        . 'ipv6only=off;', qr/"ipv6only=off" needs "bind=\[::\]"/ ],

    # one role, one server

    map({ [ 'relay', '', $_, qr/"trp_relay" .*another content handler/ ] }
        'return ok;', 'proxy_pass 127.0.0.1:8082;', 'trp_turn;'),
    [ 'relay', 'trp_relay;', 'trp_relay; proxy_pass 127.0.0.1:8082;',
        qr/"trp_relay" .*another content handler in the same server, write a / ],
    [ 'relay', 'listen 127.0.0.1:8080 ssl;',
        'trp_route %%PORT_8080%%:22 bind=127.0.0.1 ssl;',
        qr/"trp_relay" cannot .* "trp_route" .*, write a server of its own for/
        ],
    map({ [ 'reverse', 'proxy_pass $trp_destination;', $_->[0],
        qr/"trp_$_->[1]" cannot be used with "trp_reverse" .*, write a server /
        . qr/of its own for each$/m ] }
        [ 'listen 127.0.0.1:8082; trp_turn;', 'turn' ],
        [ 'listen 127.0.0.1:8082 ssl; ssl_certificate localhost.crt; '
            . 'ssl_certificate_key localhost.key; trp_relay; '
            . 'trp_authorized_keys authorized_keys;', 'relay' ]),
    [ 'reverse', '', 'trp_route %%PORT_8082%%:22 bind=127.0.0.1;',
        qr/"trp_route" cannot be used with "trp_reverse"/ ],

    [ 'turn', ' udp;', ' udp proxy_protocol;',
        qr/"proxy_protocol" (?:over UDP, write it|is incompatible|parameter)/ ],
);

# what is honoured, or does no harm

my @good = (
    [ 'entry', '127.0.0.1;', '127.0.0.1 ssl proxy_protocol reuseport '
        . 'backlog=64 rcvbuf=64k sndbuf=64k so_keepalive=30m::10 fastopen=10; '
        . 'ssl_certificate localhost.crt; ssl_certificate_key localhost.key;' ],
    [ 'entry', '8080;', '8080 weight=2 max_conns=2 max_fails=3 '
        . 'fail_timeout=1s; server 127.0.0.1:8081 backup; '
        . 'server 127.0.0.1:8082 down;' ],
    [ 'entry', '', 'proxy_bind off; proxy_ssl off; proxy_socket_keepalive on; '
        . 'proxy_next_upstream off; proxy_connect_timeout 5s; '
        . 'proxy_protocol on; proxy_upload_rate 10k; proxy_download_rate 10k; '
        . 'proxy_next_upstream_tries 2; proxy_next_upstream_timeout 5s; '
        . 'deny 10.0.0.0/8; tcp_nodelay off;' ],
    [ 'socks5', '', 'trp_socks5_udp off; proxy_upload_rate 10k; '
        . 'proxy_protocol on;' ],
    [ 'reverse', '127.0.0.1:8080;', '127.0.0.1:8080 weight=2 backup; '
        . 'server 127.0.0.1:8082; trp_entry; trp_entry_key auth; '
        . 'trp_entry_ssl_trusted_certificate localhost.crt;' ],
    [ 'reverse', '127.0.0.1:8080;', '127.0.0.1:8080 down; '
        . 'server 127.0.0.1:8082; zone relays 64k;' ],
    [ 'relay', ' ssl;', ' ssl so_keepalive=on reuseport backlog=64 '
        . 'rcvbuf=64k sndbuf=64k;' ],
    [ 'turn', 'listen 127.0.0.1:%%PORT_8478_UDP%% udp;',
        'deny 10.0.0.0/8; limit_conn addr 10;' ],
);

# since 1.25.5 servers may share an address, if they have different names, and
# there is "pass"

my $names = $t->has_version('1.25.5') ? 1 : 0;

if ($names) {
    push @tests, map { my ($role, $listen) = @$_;
        [ $role, 'server {' => "server { $listen server_name a.example; "
            . 'ssl_certificate localhost.crt; ssl_certificate_key '
            . "localhost.key; return ok; }\nserver {",
            qr/listens where another server does, write another address or / ] }
        [ 'relay', 'listen 127.0.0.1:8080 ssl;' ],
        [ 'entry', 'listen 127.0.0.1:8081;' ],
        [ 'socks5', 'listen 127.0.0.1:8081;' ],
        [ 'turn', 'listen 127.0.0.1:8478;' ];

    push @tests,
        [ 'entry', 'proxy_pass relay;', 'pass 127.0.0.1:8082;',
            qr/"pass" .* "trp_route" .*, write "listen PORT" in place of/ ],
        [ 'entry', 'proxy_pass relay;', 'pass 127.0.0.1:$server_port;',
            qr/"pass" cannot be used with "trp_route"/ ],
        [ 'socks5', 'proxy_pass relay;', 'pass 127.0.0.1:8082;',
            qr/"pass" cannot be used with "trp_socks5" .*, write "proxy_pass"/
            ];

    push @good, [ 'reverse', 'proxy_pass $trp_destination;',
        'pass 127.0.0.1:8082;' ];
}

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'auth') . "\n");

plan(tests => @tests + @good + 2);

for my $test (@tests) {
    my ($role, $from, $to, $message) = @$test;
    my $output = output_of(@$test);

    ok($output =~ /\[emerg\] .*$message/ && $output =~ /test failed$/
        && $output =~ /nginx\.conf:\d+/, "$role: $to") or diag($output);
}

for my $test (@good) {
    my $output = output_of(@$test);
    like($output, qr/test is successful$/, "$test->[0]: $test->[2]")
        or diag($output);
}


sub output_of {
    my ($role, $from, $to) = @_;
    my $text = $configs{$role};

    if ($from eq '') {
        $from = $place{$role};
        $to = "$to\n        $from";
    }

    my $at = index $text, $from;
    die "no \"$from\" in the config of $role\n" if $at < 0;
    substr $text, $at, length $from, $to;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$text}

EOC

    return nginx_test($t);
}
