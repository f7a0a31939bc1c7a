#!/usr/bin/perl

# Names without a "resolver": as the host resolves them, while nginx runs.  Of
# relays, of TURN servers, of destinations; "nginx -t" asks for none of them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

# a host of its own, with a name server at port 53

if (!$ENV{TRP_OWN_HOST}) {
    plan(skip_all => 'no private mounts and networks here')
        if system('unshare -mn ip link set lo up >/dev/null 2>&1') != 0;

    $ENV{TRP_OWN_HOST} = 1;
    exec 'unshare', '-mn', $^X, map({ "-I$_" } grep { !ref } @INC),
        "$FindBin::Bin/$FindBin::Script"
        or die "can't run unshare: $!\n";
}

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;
use Test::Nginx::TRP::SOCKS;

system('ip', 'link', 'set', 'lo', 'up');

my $relays = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

for my $file ('hosts', 'resolv.conf') {
    $relays->write_file($file, '');
    system('mount', '--bind', $relays->testdir() . "/$file",
        "/etc/$file") == 0
        or plan(skip_all => "no private /etc/$file");
}

$relays->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        listen 127.0.0.2:%%PORT_8443%% ssl;

        ssl_certificate relay.crt;
        ssl_certificate_key relay.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    server {
        listen 127.0.0.1:%%PORT_8478%%;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_allow 127.0.0.0/8;
        trp_turn_tcp_allocations on;
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

    upstream relay {
        server relay.trp.test:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate ca.crt;
        trp_reverse_allow service.trp.test hosts.trp.test;

        trp_reverse_turn tcp turn.trp.test:%%PORT_8478%%;
        trp_reverse_turn_user alice:secret;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$upstream_addr $trp_destination $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server relay:%%PORT_8443%%;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_name relay.trp.test;
        trp_entry_ssl_trusted_certificate ca.crt;
    }

    upstream turn {
        server turn.trp.test:%%PORT_8478%%;
        trp_turn_client;
        trp_turn_client_resolve ipv6=off;
        trp_turn_client_user alice:secret;
    }

    server {
        trp_route %%PORT_8080%%:service.trp.test:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:hosts.trp.test:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:nobody.trp.test:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        proxy_pass turn;
    }
}

EOC

trp_ca($relays, 'ca');
trp_issue($relays, 'ca', 'relay', names => 'DNS:relay.trp.test');
$_->write_file('ca.crt', $relays->read_file('ca.crt')) for $entry, $reverse;
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

# a name server that does not answer, but sees who asks

my @names = ('relay.trp.test', 'turn.trp.test', 'service.trp.test');

$relays->write_file('resolv.conf', "nameserver 127.0.0.1\n"
    . "search trp.test\noptions ndots:1\n");
dns($entry, 53, map { $_ => 'silent' } @names);

$entry->plan(19 + 2 * 2);

for ($reverse, $entry) {
    like(nginx_test($_), qr/test is successful/, 'nginx -t');
}

is($entry->read_file('dns.log'), '', 'asks for nothing');

# a server of nobody's is resolved as ever

dns_change($entry);
my $conf = $entry->read_file('nginx.conf');
$entry->write_file('nginx.conf', $conf =~ s/^stream \{/$&
    upstream other {
        server nobody.trp.test:80;
    }
/mr);
like(nginx_test($entry),
    qr/host not found in upstream "nobody\.trp\.test:80" in .*nginx\.conf:\d+/,
    'nginx -t, another upstream');
$entry->write_file('nginx.conf', $conf);

# it runs without them

$_->run() for $relays, $reverse, $entry;

ok(wait_log($reverse, qr/TURN server "turn\.trp\.test" could not be resolved/),
    'no TURN server');
ok(wait_log($reverse, qr/relay "relay\.trp\.test" could not be resolved/),
    'no relay');
ok(wait_log($entry, qr/relay "relay" could not be resolved/),
    'no relay, by a search list');

# there they are

dns_change($entry, 'relay.trp.test' => '127.0.0.1',
    'turn.trp.test' => '127.0.0.1', 'service.trp.test' => '127.0.0.1');

ok(ready($reverse, '127.0.0.1'), 'tunnels through the TURN server');
ok(ready($entry, '127.0.0.1'), 'tunnels');
ok(visit(port(8080)), 'a destination of the name server');
ok(wait_log($entry, qr/^127\.0\.0\.1:\d+ service\.trp\.test:\d+ ok$/,
    file => 'access.log'), 'log');

# clients do not wait for a name of a TURN server that is asked for later

ok(wait_for(sub {
    my $client = socks(port(8083), 'service.trp.test:' . port(8090));
    my $rep = $client->rep();

    $client->close();
    return $rep eq '0';
}), 'SOCKS5 through the TURN server');

$relays->write_file('hosts', "127.0.0.1 localhost\n"
    . "127.0.0.1 x HOSTS.trp.test\n");
ok(visit(port(8081)), 'a destination of /etc/hosts');
is(end_of(connect_to(port(8082))), 'reset', 'a destination that is not allowed');

# /etc/hosts goes first: the relay has moved there

$relays->write_file('hosts', "127.0.0.2 relay.trp.test relay\n");

ok(ready($_, '127.0.0.2'), 'tunnels to the address in /etc/hosts')
    for $reverse, $entry;
ok(wait_for(sub {
    visit(port(8080));
    return count_log($entry, qr/^127\.0\.0\.2:/, file => 'access.log');
}), 'users by this address');

# another name server

dns($reverse, '127.0.0.3:53', 'service.trp.test' => '127.0.0.4');
serve_on($reverse, IO::Socket::INET->new(LocalAddr => '127.0.0.4',
    LocalPort => port(8090), Listen => 100, ReuseAddr => 1)
    || die("can't listen: $!\n"), 'hello', data => "moved\n");
$relays->write_file('resolv.conf', "nameserver 127.0.0.3\n");

ok(wait_for(sub {
    my $s = connect_to(port(8080));
    shutdown $s, 1;
    return (<$s> || '') eq "moved\n";
}), 'another resolv.conf');

ok(wait_log($entry, qr/^127\.0\.0\.2:\d+ service\.trp\.test:\d+ ok$/,
    file => 'access.log'), 'users as before');


# the agent has tunnels, by its log

sub ready {
    my ($t, $addr) = @_;
    return wait_log($t, qr/ tunnel is ready.* relay: $addr:/);
}
