#!/usr/bin/perl

# Tests for a local entry with all kinds of routes: ranges, variables,
# unix sockets, and names that the reverse maps.

use strict;
use warnings;

use Test::More;

use IO::Socket::UNIX;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map unix /);
my $reverse = Test::Nginx->new();

my $first = port_range(8100, 3);
my $last = $first + 2;
my $there = $reverse->testdir();

hub_conf($hub, main => 'worker_processes 2;', stream => <<"EOC");
    map \$server_port \$to {
        default unix:$there/web.sock;
    }

    server {
        trp_route $first-$last:10.0.0.5:6000-6002 bind=127.0.0.1;
        trp_route %%PORT_8081%%:unix:$there/web.sock bind=127.0.0.1;
        trp_route %%PORT_8082%%:\$to bind=127.0.0.1;
        trp_route %%PORT_8083%%:web:80 bind=127.0.0.1;
        trp_route unix:%%TESTDIR%%/in.sock:6003;
        proxy_pass hub;
    }
EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
    }

    map $trp_destination $to {
        web:80  127.0.0.9:8000;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_destination $to;
        trp_reverse_allow 10.0.0.5:6000-6001 127.0.0.0/8
                          unix:%%TESTDIR%%/*.sock;
        return "$trp_destination";
    }
}

EOC

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

$reverse->run();
$hub->run()->plan(8 + 2);

is(ask($first), '10.0.0.5:6000', 'range');
is(ask($first + 1), '10.0.0.5:6001', 'range, next port');
is(ask($first + 2), 'reset', 'range, not allowed');
is(ask(port(8081)), "unix:$there/web.sock", 'unix socket');
is(ask(port(8082)), "unix:$there/web.sock", 'variable');
is(ask(port(8083)), '127.0.0.9:8000', 'name that the reverse maps');
is(ask($hub->testdir() . '/in.sock'), '127.0.0.1:6003', 'from a unix socket');

# one after another, in both workers

is(join(' ', map { ask($first + 1) } 1 .. 10),
    join(' ', ('10.0.0.5:6001') x 10), 'again and again');


sub ask {
    my ($at) = @_;

    my $s = $at =~ m!/! ? IO::Socket::UNIX->new(Peer => $at)
        : connect_to($at, timeout => 10);
    my $text = <$s>;

    return defined $text ? $text : $!{ECONNRESET} ? 'reset' : 'end';
}
