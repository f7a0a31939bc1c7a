#!/usr/bin/perl

# random: all relays are used; "random two least_conn" takes the one with fewer
# streams.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relays = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_upstream_random /);
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

    log_format main "$server_port $relay $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream any {
        random;
        server 127.0.0.1:8443;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass any;
    }

    upstream two {
        random two least_conn;
        server 127.0.0.1:8443;
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass two;
    }
}

EOC

trp_cert($relays, $reverse, $entry);
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$_->run() for $relays, $reverse, $entry;
$entry->plan(8 + 2 * 2);

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 8),
    'tunnels') for 8443, 8444;

is(grep({ visit(port(8080)) } 1 .. 100), 100, 'users');

# as good as impossible to be less, with a fair coin

my %by = relays($entry, 8080, 100);
cmp_ok($by{$_}, '>=', 15, "by \"$_\"") for 'a', 'b';

# of two relays both are looked at: the streams are shared evenly

my @users = map { stays() } 1 .. 20;
is(grep({ $_ } @users), 20, 'users who stay');
close $_ for @users;

%by = relays($entry, 8081, 20);
is($by{$_}, 10, "by \"$_\"") for 'a', 'b';


# a user who has a stream, and keeps it

sub stays {
    my $s = connect_to(port(8081));

    syswrite $s, 'here';
    IO::Select->new($s)->can_read(30) or return;
    sysread $s, my $echo, 10;

    return $s;
}

# how many users of a port came by each relay

sub relays {
    my ($t, $port, $count) = @_;
    my $re = sprintf '^%d (.) ok$', port($port);
    my %by;

    wait_log($t, qr/$re/, file => 'access.log', count => $count);
    $by{$_}++ for map { /$re/ } served($t, 'access.log');

    return %by;
}
