#!/usr/bin/perl

# A relay that is drained while it has streams: they go on to their end, who
# comes meanwhile is served by the other relay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $first = Test::Nginx->new()
    ->has(qw/ stream stream_ssl /);
my $second = Test::Nginx->new();
my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

relay_conf($first, 8443);
relay_conf($second, 8444);
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
        server 127.0.0.1:8444;
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

trp_cert($first, $second, $reverse, $entry);
$second->write_file('localhost.key', $first->read_file('localhost.key'));

my $keys = join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse');
$_->write_file('authorized_keys', $keys) for $first, $second;

serve($reverse, port(8090), 'echo');

$_->run() for $first, $second, $reverse, $entry;
$entry->plan(10 + 2 * 3);

ok(wait_tunnels($reverse, $_, 4) && wait_tunnels($entry, $_, 4),
    'tunnels') for 8443, 8444;

my @users = map { stays() } 1 .. 6;
is(grep({ $_ } @users), 6, 'users who stay');

kill 'QUIT', nginx_pid($first);
ok(wait_for(sub { tcp_count(port(8443), 'LISTEN') == 0 }), 'drained');

# at once, not after the open timeout

my @new = map { stays() } 1 .. 6;
is(grep({ $_ } @new), 6, 'users who come now');
close $_ for grep { $_ } @new;
is(relays($entry, 6), 'bbbbbb', 'by the other relay');

ok(kill(0, nginx_pid($first)), 'the first is there');
is(grep({ transfer($_, 1000, fin => 0)->{received} == 1000 } @users), 6,
    'the streams go on');
close $_ for @users;
is(relays($entry, 12), 'aaabbbbbbbbb', 'to their end');

ok(wait_for(sub { tcp_count(port(8443)) == 0 }), 'the first has gone');


# a user who has a stream, and keeps it

sub stays {
    my $s = connect_to(port(8080));

    syswrite $s, 'here';
    IO::Select->new($s)->can_read(10) or return;
    sysread $s, my $echo, 10;

    return $s;
}

sub relays {
    my ($t, $count) = @_;

    wait_log($t, qr/ ok$/, file => 'access.log', count => $count);
    return join '', sort map { /^(.) ok$/ } served($t, 'access.log');
}
