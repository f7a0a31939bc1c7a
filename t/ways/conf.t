#!/usr/bin/perl

# Tests for lists of ways: what is wrong is said with the place, and with what
# to write.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::QUIC;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# P is "trp_entry", and "trp_reverse"

my $turn = 'P_turn 127.0.0.1; P_turn_user alice:secret;';

my @good = (
    'P_ways direct;',
    "P_ways turn; $turn",
    "P_ways direct turn probe=10s hold=500ms; $turn",
    "P_ways hold=1m turn direct; $turn",
);

my @bad = (
    [ 'P_ways probe=1s;', qr/"P_ways" has 0 ways, write 1 to 8/ ],
    [ 'P_ways ' . join(' ', ('direct') x 9) . ';', qr/has 9 ways, write 1 to 8/ ],
    [ 'P_ways tor;', qr/invalid way "tor" in "P_ways", write "direct"/ ],
    [ 'P_ways turn+;', qr/invalid way "turn\+" in "P_ways", write/ ],
    [ 'P_ways +turn;', qr/invalid way "\+turn" in "P_ways", write/ ],
    [ 'P_ways "";', qr/invalid way "" in "P_ways", write/ ],
    [ 'P_ways direct+turn;', qr/"direct" means without anything else/ ],
    [ 'P_ways turn+turn;', qr/write each part once/ ],
    [ 'P_ways direct direct;', qr/"direct" in "P_ways" is the same way as/ ],
    [ 'P_ways direct turn;', qr/way "turn" in "P_ways" needs "P_turn"/ ],
    [ 'P_ways direct quic;', qr/way "quic" in "P_ways" needs "P_quic"/ ],
    [ 'P_ways proxy;', qr/way "proxy" in "P_ways" needs "P_proxy"/ ],
    [ 'P_ways websocket;', qr/"websocket" in "P_ways" needs "P_websocket"/ ],
    [ "P_ways quic+turn; $turn", qr/server that is spoken to by "udp"/ ],
    [ 'P_ways direct probe=0;', qr/invalid parameter "probe=0" in "P_ways"/ ],
    [ 'P_ways direct hold=2d;', qr/invalid parameter "hold=2d".*"hold=TIME"/ ],
    [ 'P_ways direct hold=1s hold=2s;', qr/invalid parameter "hold=2s"/ ],
    [ 'P_ways direct; P_ways direct;', qr/"P_ways" directive is duplicate/ ],
);

# the relay is a unix socket at this host

my $socket = 'unix:/run/relay.sock';

my @socket_good = (
    '',
    'P_websocket /path; P_websocket_ssl_verify off;',
    'P_proxy http://127.0.0.1:3128; P_websocket ws://127.0.0.1/;',
    'P_ways direct; P_proxy http://127.0.0.1:3128;',
);

my @socket_bad = (
    [ 'P_proxy http://127.0.0.1:3128;', 'proxy' ],
    [ 'P_proxy http://127.0.0.1:3128; P_websocket /; '
        . 'P_websocket_ssl_verify off;', 'proxy\+websocket' ],
    [ 'P_proxy http://127.0.0.1:3128; P_ways direct proxy;', 'proxy' ],
    [ $turn, 'turn' ],
);

plan(tests => 2 * @good + 2 * @bad + 2 * @socket_good + 2 * @socket_bad
    + 3 + 2);

trp_cert($t);
trp_keys($t, 'key');

for my $role (qw/ trp_entry trp_reverse /) {
    like(test_conf($role, $_), qr/test is successful$/, "$role: $_") for @good;

    for (@bad) {
        my ($text, $expect) = @$_;
        $expect = qr/"way quic" needs QUIC/
            if $text =~ /ways.*quic/ && quic_missing();
        $expect =~ s/P_/${role}_/g;
        like(test_conf($role, $text),
            qr/\[emerg\] [^\n]*$expect[^\n]* in \S+:\d+\n/, "$role: $text");
    }
}

for my $role (qw/ trp_entry trp_reverse /) {
    like(test_conf($role, $_, '', $socket), qr/test is successful$/,
        "$role, unix socket: $_") for @socket_good;

    for (@socket_bad) {
        my ($text, $way) = @$_;
        like(test_conf($role, $text, '', $socket),
            qr{"$way"\ is\ no\ way\ to\ the\ unix\ socket\ "$socket"\ in
                \ upstream\ "relay",\ write\ HOST:PORT\ there,\ or
                \ "${role}_ways"\ without\ it\ in\ \S+:\d+\n}x,
            "$role, unix socket: $text");
    }
}

# what is there for nothing

like(test_conf('trp_entry', "P_ways direct; $turn"),
    qr/\[warn\] .*"trp_entry_turn" has no effect: there is no way with "turn"/,
    'no way uses it');

# inherited

like(test_conf('trp_reverse', '', 'trp_reverse_ways turn;'),
    qr/way "turn" in "trp_reverse_ways" needs "trp_reverse_turn"/, 'from above');
like(test_conf('trp_reverse', 'trp_reverse_ways direct;',
    'trp_reverse_ways turn;'), qr/test is successful$/, 'replaced');


sub test_conf {
    my ($role, $text, $above, $relay) = @_;

    $above //= '';
    $relay //= '127.0.0.1:8443';

    my $more = $text =~ s/\bP(?=[_ ])/$role/gr;
    my ($entry, $reverse) = $role eq 'trp_entry' ? ($more, '') : ('', $more);

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    $above

    upstream relay {
        server $relay;

        trp_entry;
        trp_entry_key key;
        trp_entry_ssl_trusted_certificate localhost.crt;
        $entry
    }

    server {
        trp_route %%PORT_8080%%:80 bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_reverse relay;
        trp_reverse_key key;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        $reverse
        proxy_pass \$trp_destination;
    }
}
EOC

    return nginx_test($t);
}
