#!/usr/bin/perl

# Names of relays and their TURN servers are resolved while nginx runs: it
# starts without them, and follows a relay that moves.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;

my $relays = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

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

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s;

    upstream relay {
        server Relay.trp.test:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate ca.crt;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }

    server {
        listen 127.0.0.1:8081;
        return other;
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

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s;

    log_format main "$upstream_addr $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        least_conn;
        zone relay 256k;
        server relay.trp.test:%%PORT_8443%% weight=2;
        server nobody.trp.test:%%PORT_8443%% backup;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate ca.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_ca($relays, 'ca');
trp_issue($relays, 'ca', 'relay', names => 'DNS:relay.trp.test');
$_->write_file('ca.crt', $relays->read_file('ca.crt')) for $entry, $reverse;
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

# no name is known

dns($entry, port(8982, udp => 1), 'relay.trp.test' => 'trouble');

$_->run() for $relays, $reverse, $entry;
$entry->plan(23 + 2 * 2);

my @agents = ($reverse, $entry);
my $failed = qr/\[error\].* relay "relay\.trp\.test" could not be resolved /i;

is(end_of(connect_to(port(8081))), 'eof', 'another server');

for (@agents) {
    ok(wait_log($_, $failed), 'the log has the name');
}

ok(dns_asked($entry, 'relay.trp.test', 4), 'it is asked for again');
is(count_log($_, $failed), 1, 'in one line') for @agents;
is(count_log($entry, qr/relay "nobody\.trp\.test" could not be resolved /), 1,
    'and one for the other');

# who comes now waits

my $user = connect_to(port(8080));

is(wait_log($entry, qr/client 127\.0\.0\.1:${\$user->sockport()} connected/),
    1, 'a user');

# there it is

dns_change($entry, 'relay.trp.test' => '127.0.0.1');

ok(ready($_, '127.0.0.1'), 'tunnels') for @agents;
is(transfer($user, 1000)->{end}, 'eof', 'who has waited is served');
ok(wait_log($_, qr/\[notice\].* relay "relay\.trp\.test" is at 127\.0\.0\.1:/i),
    'the log has its address') for @agents;
ok(visit(port(8080)), 'user');
ok(wait_log($entry, qr/^127\.0\.0\.1:\d+ 200 ok$/, file => 'access.log',
    count => 2), 'by this address');

# one who stays, while the relay moves

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{received}, 1000, 'one who stays');

dns_change($entry, 'relay.trp.test' => '127.0.0.2');

ok(ready($_, '127.0.0.2'), 'tunnels to the new address') for @agents;
ok(wait_for(sub {
    visit(port(8080));
    return count_log($entry, qr/^127\.0\.0\.2:\d+ 200 ok$/,
        file => 'access.log');
}), 'users by the new address');
is(transfer($s, 1000)->{end}, 'eof', 'who has stayed goes on');

# what is known stays known

dns_change($entry);

ok(wait_log($entry, qr/relay "relay\.trp\.test" could not be resolved .*, /
    . qr/its last addresses are used/), 'the name is gone');
ok(visit(port(8080)), 'user');
is(count_log($entry, qr/ (?!200 ok$)\S+ \S+$/, file => 'access.log'), 0,
    'no user has failed');


# the agent has tunnels, by its log

sub ready {
    my ($t, $addr) = @_;
    return wait_log($t, qr/ tunnel is ready.* relay: $addr:/);
}
