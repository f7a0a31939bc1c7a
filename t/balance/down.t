#!/usr/bin/perl

# A relay that is marked as down: no tunnels to it, no users by it.  So an
# operator takes one out of service, and puts it back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relays = Test::Nginx->new()
    ->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

relay_conf($relays, 8443, 8444);
reverse_conf($reverse, 8443, 8444);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    map $upstream_addr $relay {
        127.0.0.1:8443 a;
        127.0.0.1:8444 b;
    }

    log_format main "$relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
        server 127.0.0.1:8444 down;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_cert($relays, $reverse, $entry);
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$_->run() for $relays, $reverse, $entry;
$entry->plan(15 + 2 * 2);

ok(wait_tunnels($reverse, 8443, 4) && wait_tunnels($entry, 8443, 4),
    'tunnels');

is(users(10), 10, 'users');
is(relays($entry, 10), 'a' x 10, 'by the other one');
is(dialled($relays, 'entry', 8444), 0, 'nobody has dialled it');

# the other way round; who came before goes on where he is

my $s = connect_to(port(8080));
syswrite $s, 'early';
sysread $s, my $echo, 10;
is($echo, 'early', 'a stream that is there');

$entry->write_file('nginx.conf', $entry->read_file('nginx.conf')
    =~ s/(127\.0\.0\.1:\d+); *\n *server (\S+) down;/$1 down; server $2;/r);
is(reload_and_wait($entry), 1, 'reload');
ok(wait_tunnels($entry, 8444, 4), 'tunnels to the one that was down');

my $dials = dialled($relays, 'entry', 8443);
is(users(10), 10, 'users');
is(relays($entry, 20), 'a' x 10 . 'b' x 10, 'by the one that was down');
is(dialled($relays, 'entry', 8443), $dials, 'the other one is not dialled');

syswrite $s, 'late';
is(transfer($s, 1000, fin => 0)->{received}, 1000, 'the stream goes on');
close $s;

# a reverse does not dial it either

$reverse->write_file('nginx.conf', $reverse->read_file('nginx.conf')
    =~ s/(127\.0\.0\.1:\d+); *\n *server (\S+);/$1 down; server $2;/r);
is(reload_and_wait($reverse), 1, 'reload of the reverse');
ok(wait_tunnels($reverse, 8444, 8), 'tunnels of its new worker');
$dials = dialled($relays, 'reverse', 8443);
is(users(10), 10, 'users');
is(dialled($relays, 'reverse', 8443), $dials, 'not dialled by the reverse');


# tunnels that a relay has had so far

sub dialled {
    my ($t, $role, $port) = @_;
    my $addr = '127.0.0.1:' . port($port);
    return count_log($t, qr/ $role .* has a tunnel .* server: \Q$addr\E/);
}

sub users {
    my ($count) = @_;
    return scalar grep { visit(port(8080)) } 1 .. $count;
}

sub relays {
    my ($t, $count) = @_;
    wait_log($t, qr/ ok$/, file => 'access.log', count => $count);
    return join '', map { /^(.) ok$/ } served($t, 'access.log');
}
