#!/usr/bin/perl

# What was found for a relay's name is known behind a reload, too, when it
# cannot be resolved any more.

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
        server relay.trp.test:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate ca.crt;

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

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s;

    log_format main "$upstream_addr $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server relay.trp.test:%%PORT_8443%%;
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

dns($entry, port(8982, udp => 1), 'relay.trp.test' => '127.0.0.1');

$_->run() for $relays, $reverse, $entry;
$entry->plan(9 + 2 * 2);

my @agents = ($reverse, $entry);

ok(ready($_), 'tunnels') for @agents;
ok(visit(port(8080)), 'user');

# from now on nobody knows the name

dns_change($entry, 'relay.trp.test' => 'trouble');

for my $t (@agents) {
    my $before = count_log($t, qr/ tunnel is ready/);

    ok(reload_and_wait($t), 'reload');
    ok(wait_log($t, qr/ tunnel is ready/, count => $before + 1),
        'tunnels of the new worker');
}

ok(wait_log($entry, qr/relay "relay\.trp\.test" could not be resolved .*, /
    . qr/its last addresses are used/), 'log');
ok(visit(port(8080)), 'user');


# the agent has tunnels, by its log

sub ready {
    my ($t) = @_;
    return wait_log($t, qr/ tunnel is ready/);
}
