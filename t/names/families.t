#!/usr/bin/perl

# Names that have addresses of both families: one that is switched off, and one
# that this host has no way for, is not dialled, and that is said once.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

# a host that has nothing but its loopback addresses

if (!$ENV{TRP_OWN_NETWORK}) {
    plan(skip_all => 'no private networks here')
        if system('unshare -n ip link set lo up >/dev/null 2>&1') != 0;

    $ENV{TRP_OWN_NETWORK} = 1;
    exec 'unshare', '-n', $^X, map({ "-I$_" } grep { !ref } @INC),
        "$FindBin::Bin/$FindBin::Script"
        or die "can't run unshare: $!\n";
}

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;

system('ip', 'link', 'set', 'lo', 'up');

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        listen [::1]:%%PORT_8443%% ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
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

    trp_reverse_key reverse;
    trp_reverse_ssl_verify off;
    trp_reverse_resolve ipv6=off;

    upstream relay {
        server relay.trp.test:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_group four;
        return four;
    }

    server {
        trp_reverse relay;
        trp_reverse_group six;
        trp_reverse_resolve ipv4=off ipv6=on;
        return six;
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

    upstream both {
        server relay.trp.test:%%PORT_8443%%;
        trp_entry;
        trp_entry_group four;
        trp_entry_key entry;
        trp_entry_ssl_verify off;
    }

    upstream six {
        server relay.trp.test:%%PORT_8443%%;
        trp_entry;
        trp_entry_group six;
        trp_entry_resolve ipv4=off;
        trp_entry_key entry;
        trp_entry_ssl_verify off;
    }

    upstream address {
        server [2001:db8::2]:4433;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_verify off;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass both;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass six;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

# the last two are not to be reached from here

dns($entry, port(8982, udp => 1),
    'relay.trp.test' => '2001:db8::1 127.0.0.1 192.0.2.1 ::1');

$_->run() for $relay, $reverse, $entry;
$entry->plan(13 + 2 * 2);

ok(ready($reverse, '127.0.0.1', 'four'), 'ipv6=off');
ok(ready($reverse, '[::1]', 'six'), 'ipv4=off');
ok(ready($entry, $_, 'four'), "both: $_") for '127.0.0.1', '[::1]';
ok(ready($entry, '[::1]', 'six'), 'ipv4=off');

for ([ 8080, 'four' ], [ 8081, 'six' ]) {
    my ($port, $answer) = @$_;
    is(readline(connect_to(port($port))), $answer, $answer);
}

# it is asked for again and again, but that is all

ok(dns_asked($entry, 'relay.trp.test', 8), 'asked again');

my $way = qr/\[notice\].* relay "relay\.trp\.test" has addresses of .*/
    . qr/ no route$/;

is(count_log($reverse, $way), 2, 'no way: one line for each');
is(count_log($entry, $way), 2, 'no way: here too');

for ($reverse, $entry) {
    is(count_log($_, qr/connect\(\) to (?!\[2001:db8::2\])/), 0,
        'none of them is dialled');
}

is(count_log($entry, qr/connect\(\) to \[2001:db8::2\]:4433 failed/), 1,
    'an address in the configuration, one line');


# the agent of this group has tunnels, by its log

sub ready {
    my ($t, $addr, $group) = @_;
    return wait_log($t,
        qr/ tunnel is ready.* relay: \Q$addr\E:.* group: "$group"/);
}
