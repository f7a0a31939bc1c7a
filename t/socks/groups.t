#!/usr/bin/perl

# Tests for SOCKS5 users whose group is a variable: of their name, or of the
# destination.  Each group has a reverse with an address of its own.

use strict;
use warnings;

use Test::More;

use IO::Select;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map udp /);
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

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$protocol $trp_socks5_user $trp_group $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    trp_entry_key entry;
    trp_entry_ssl_trusted_certificate localhost.crt;
    trp_entry_groups max=3 inactive=1s;

    upstream by_user {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group $trp_socks5_user;
    }

    map $trp_destination_port $by_port {
        %%PORT_8091%%  one;
        %%PORT_8092%%  two;
    }

    upstream by_port {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group $by_port;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        trp_socks5_user one:1;
        trp_socks5_user two:2;
        trp_socks5_user three:3;
        trp_socks5_user "no group:4";
        proxy_pass by_user;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_pass by_port;
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
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    map $trp_group $from {
        one  127.0.0.21;
        two  127.0.0.22;
    }

    server {
        trp_reverse relay;
        trp_reverse_group one;
        trp_reverse_allow 127.0.0.1;
        proxy_bind $from;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group two;
        trp_reverse_allow 127.0.0.1;
        proxy_bind $from;
        proxy_pass $trp_destination;
    }

    # destinations say who has come

    server {
        listen 127.0.0.1:%%PORT_8091%%;
        listen 127.0.0.1:%%PORT_8092%%;
        return $remote_addr;
    }

    server {
        listen 127.0.0.1:%%PORT_8985_UDP%% udp;
        return $remote_addr;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

$relay->run();
$reverse->run();
$entry->run()->plan(20 + 2 * 2);

ok(wait_log($relay, qr/ reverse .* has a tunnel in group /, count => 8),
    'reverses');

my $descriptors = fd_count(worker_pids($entry));

# the group is the user's name

is(connected('one', 1), '0 127.0.0.21', 'user one');
is(connected('two', 2), '0 127.0.0.22', 'user two');
is(connected('one', 1), '0 127.0.0.21', 'user one, again');

is(connected('no group', 4), 2, 'not a group');
ok(wait_log($entry, qr/^TCP no group  not allowed 403$/, file => 'access.log'),
    'status');

# UDP ASSOCIATE

my %udp = (
    one => socks_udp(port(8080), user => 'one', password => 1),
    two => socks_udp(port(8080), user => 'two', password => 2),
);

is(asked($udp{one}), '127.0.0.21', 'datagrams of one');
is(asked($udp{two}), '127.0.0.22', 'datagrams of two');
is(asked($udp{one}), '127.0.0.21', 'datagrams of one, again');

# a group that has no reverse takes the third place, and gives it back

my $three = socks_udp(port(8080), user => 'three', password => 3);
ok(wait_log($entry, qr/group "three" has a user, 3 of 3 groups /), 'three');
$three->close();
ok(wait_log($entry, qr/group "three" of upstream .* is not used/), 'given up');

is(asked($udp{two}), '127.0.0.22', 'who has tunnels keeps them');

# by destination

is(to(8091), '0 127.0.0.21', 'port of one');
is(to(8092), '0 127.0.0.22', 'port of two');
is(to(8093), 2, 'a port that is not in the map');
is(socks_udp(port(8081))->rep(), 2, 'an association has no destination');

# nobody is left

$_->close() for values %udp;

ok(wait_log($entry, qr/"one" of upstream "by_user" is not used/), 'one');
ok(wait_log($entry, qr/"two" of upstream "by_user" is not used/), 'two');
ok(wait_log($entry, qr/"two" of upstream "by_port" is not used/), 'by port');
ok(wait_for(sub { fd_count(worker_pids($entry)) == $descriptors }),
    'no tunnel is left');


sub connected {
    my ($user, $password) = @_;

    my $c = socks(port(8080), '127.0.0.1:' . port(8091), user => $user,
        password => $password);

    return answer($c);
}


sub to {
    my ($port) = @_;

    return answer(socks(port(8081), '127.0.0.1:' . port($port)));
}


sub answer {
    my ($c) = @_;

    return $c->rep() if $c->rep();

    my ($s, $text) = ($c->socket(), '');

    while (IO::Select->new($s)->can_read(10)) {
        sysread $s, $text, 100, length $text or last;
    }

    return $c->rep() . " $text";
}


sub asked {
    my ($u) = @_;
    my $m = $u->ask('127.0.0.1:' . port(8985, udp => 1), 'who');

    return $m && $m->{data};
}
