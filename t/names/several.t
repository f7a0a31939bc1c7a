#!/usr/bin/perl

# A name that has several addresses: tunnels to each, users by each.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Socket qw/ :addrinfo SOCK_STREAM /;

# a name of its own, by a hosts file that nobody else sees

if (!$ENV{TRP_OWN_MOUNTS}) {
    plan(skip_all => 'no private mounts here')
        if system('unshare -m true >/dev/null 2>&1') != 0;

    $ENV{TRP_OWN_MOUNTS} = 1;
    exec 'unshare', '-m', $^X, map({ "-I$_" } grep { !ref } @INC),
        "$FindBin::Bin/$FindBin::Script"
        or die "can't run unshare: $!\n";
}

use Test::Nginx;
use Test::Nginx::TRP;

use constant NAME => 'relay.trp.test';

my $relays = Test::Nginx->new()
    ->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

$relays->write_file('hosts', "127.0.0.1 localhost\n"
    . join '', map { "$_ @{[NAME]}\n" } '127.0.0.1', '127.0.0.2', '::1');
system('mount', '--bind', $relays->testdir() . '/hosts', '/etc/hosts');

# IPv6 only if the machine has more than the loopback address of it

my @addrs = map { /:/ ? "[$_]" : $_ } addresses(NAME);

plan(skip_all => 'no name with several addresses')
    if !grep { $_ eq '127.0.0.2' } @addrs;

my $listen = join '', map { "listen $_:%%PORT_8443%% ssl;\n" } @addrs;

$relays->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        $listen
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

    log_format main "$upstream_addr $trp_status";
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
trp_issue($relays, 'ca', 'relay', names => 'DNS:' . NAME);
$_->write_file('ca.crt', $relays->read_file('ca.crt')) for $entry, $reverse;
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$_->run() for $relays, $reverse, $entry;
$entry->plan(2 + 3 * @addrs + 2 * 2);

for my $addr (@addrs) {
    ok(ready($_, $addr), "tunnels to $addr") for $reverse, $entry;
}

is(grep({ visit(port(8080)) } 1 .. 12), 12, 'users');
ok(wait_log($entry, qr/ ok$/, file => 'access.log', count => 12), 'are served');

is(count_log($entry, qr/^\Q$_\E:\d+ ok$/, file => 'access.log'), 12 / @addrs,
    "by $_") for @addrs;


sub addresses {
    my ($name) = @_;
    my ($error, @found) = getaddrinfo($name, '',
        { socktype => SOCK_STREAM, flags => AI_ADDRCONFIG });

    return map { (getnameinfo($_->{addr}, NI_NUMERICHOST, NIx_NOSERV))[1] }
        @found;
}

# the agent has tunnels

sub ready {
    my ($t, $addr) = @_;

    return wait_log($t, qr/ tunnel is ready.* relay: \Q$addr\E:\d+,/,
        count => 4);
}
