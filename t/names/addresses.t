#!/usr/bin/perl

# A destination's name that has several addresses: those that are dead are
# passed over, and nobody notices.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::DNS;

plan(skip_all => 'no IPv6')
    if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_destination $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:dual.test:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:three.test:%%PORT_8092%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:localhost:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8084%%:full.test:%%PORT_8093%% bind=127.0.0.1;
        trp_route %%PORT_8085%%:dead.test:%%PORT_8094%% bind=127.0.0.1;
        trp_route %%PORT_8086%%:inside.test:%%PORT_8092%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_destination_host $trp_destination $trp_status "
                   "$upstream_addr";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        resolver 127.0.0.1:%%PORT_8982_UDP%%;
        trp_reverse_allow dual.test three.test localhost full.test dead.test;
        trp_reverse_allow 127.0.0.1 127.0.0.3;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

dns($reverse, port(8982, udp => 1),
    'dual.test' => '127.0.0.1 ::1',
    'three.test' => '127.0.0.1 127.0.0.2 127.0.0.3',
    'full.test' => '127.0.0.1 127.0.0.3',
    'dead.test' => '127.0.0.1 127.0.0.2 ::1',
    'inside.test' => '127.0.0.2 127.0.0.1 127.0.0.4 127.0.0.3');

service(8091, '::1');
service(8092, '127.0.0.3');
my $full = full_listener(port(8093));
service(8093, '127.0.0.3');

$_->run() for $relay, $reverse, $entry;
$entry->plan(21 + 2 * 2);

ok(wait_log($relay, qr/reverse ".*" .* has a tunnel/), 'tunnel');

# name, port at the entry and of the service, its address

for my $test (
    [ 'dual.test', 8081, 8091, '[::1]' ],
    [ 'three.test', 8082, 8092, '127.0.0.3' ],
    [ 'localhost', 8083, 8091, '[::1]' ],
    [ 'inside.test', 8086, 8092, '127.0.0.3' ],
) {
    my ($name, $port, $service, $addr) = @$test;

    is((grep { visit(port($port)) } 1 .. 20), 20, "$name: all are served");
    ok(wait_log($reverse, qr/^$name \Q$addr\E:${\port($service)} ok /,
        file => 'access.log', count => 20), "$name: by this address");
    ok(wait_log($reverse, qr/^$name .*:\d+, \Q$addr\E:/, file => 'access.log'),
        "$name: after another one");
}

is(count_log($reverse, qr/^inside.test .*127\.0\.0\.[24]:/,
    file => 'access.log'), 0, 'only those that are allowed');

# an address that does not even refuse is left before the user is given up

my @users = map { connect_to(port(8084)) } 1 .. 20;

is((grep { transfer($_, 100, timeout => 30)->{end} eq 'eof' } @users), 20,
    'no answer: all are served');
ok(wait_log($reverse, qr/^full.test .*127\.0\.0\.1:\d+, 127\.0\.0\.3:/,
    file => 'access.log'), 'no answer: after that one');
ok(wait_log($reverse, qr/upstream timed out .*127\.0\.0\.1:/),
    'no answer: as nginx says it');

# no relay and no user has noticed

is(count_log($relay, qr/ refused /), 0, 'nobody has refused');
is(count_log($entry, qr/ (?!ok$)\S+$/, file => 'access.log'), 0,
    'no other line');

# all are dead, each is tried once

is(end_of(connect_to(port(8085))), 'reset', 'all are dead');
ok(wait_log($reverse,
    qr/^dead.test \S+ refused \S+:\d+, \S+:\d+, \S+:\d+$/,
    file => 'access.log'), 'each was tried');


sub service {
    my ($port, $addr) = @_;

    my $listener = IO::Socket::IP->new(
        LocalHost => $addr,
        LocalPort => port($port),
        Listen => 100,
        ReuseAddr => 1,
    ) or die "can't listen on $addr: $!\n";

    serve_on($reverse, $listener, 'echo');
}
