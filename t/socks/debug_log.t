#!/usr/bin/perl

# "error_log ... debug" tells the story of a SOCKS5 client: the lines with the
# number of its connection have each step, in the order in which they happen,
# and no password.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp --with-debug /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);
reverse_conf($reverse, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        trp_socks5_user bob:password-of-bob;
        trp_socks5_user_file users;
        trp_socks5_deny 127.0.0.66;
        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');
$entry->write_file('users', "carol:{PLAIN}password-of-carol\n");
serve($relay, port(8090), 'echo');

my $peer = turn_peer();
$relay->run_daemon(\&echo_datagrams, $peer);

$_->run() for $relay, $reverse, $entry;
$relay->plan(7 + 4);

my %bob = (user => 'bob', password => 'password-of-bob');
my %carol = (user => 'carol', password => 'password-of-carol');

# a connection

my $to = '127.0.0.1:' . port(8090);
my $c = socks(port(8080), $to, %bob);
my $client = number($c);

$c->echo('SEE');
$c->close();

is(story($entry, $client, qr/greeting: 1 methods, answer 2$/,
    qr/authentication: ok$/, qr/request: command 1, destination "\Q$to\E"/,
    qr/the balancer's choice is "127\.0\.0\.1:/, qr/takes tunnel \*\d+ of/,
    qr/accepted by the reverse/, qr/reply: 0 /, qr/the proxy closes it/),
    'all', 'connect');

# datagrams

$to = peer_addr($peer);
$c = socks_udp(port(8080), %carol);
$client = number($c);

$c->ask($to, 'SEE');
my ($port) = $c->bnd() =~ /:(\d+)$/;
$c->close();

my $destination = qr/destination "127\.0\.0\.1", port ${\($to =~ s{.*:}{}r)}/;

is(story($entry, $client, qr/authentication: ok$/, qr/request: command 3, /,
    qr/association: port $port, told port $port$/, qr/reply: 0 /,
    qr/$destination, is added/, qr/takes tunnel/, qr/accepted by the reverse/,
    qr/association is over: \d+ bytes received, \d+ sent/,
    qr/$destination, is forgotten/), 'all', 'datagrams');

# what fails

$c = socks(port(8080), $to, user => 'bob', password => 'wrong-password');
is(story($entry, number($c), qr/greeting: 1 methods, answer 2$/,
    qr/authentication: failed$/), 'all', 'wrong password');

$c = socks(port(8080), $to);
is(story($entry, number($c), qr/greeting: 1 methods, answer 255$/), 'all',
    'no password');

$c = socks(port(8080), '127.0.0.66:80', %bob);
is(story($entry, number($c), qr/authentication: ok$/, qr/request: command 1, /,
    qr/reply: 2 \(not allowed\)$/), 'all', 'denied');

$c = socks(port(8080), '127.0.0.1:' . port(8099), %bob);
is(story($entry, number($c), qr/request: command 1, /, qr/takes tunnel/,
    qr/reply: 5 \(refused\), stream \w{16}$/), 'all', 'refused');

is(count_log($entry, qr/\[debug\].* trp .*(?:password-|-password)/), 0,
    'no password');


# the connection of a client, as the lines have it

sub number {
    my ($c) = @_;
    my $from = '127.0.0.1:' . $c->socket()->sockport();
    my $number = wait_for(sub {
        $entry->read_file('error.log') =~ /\*(\d+) client \Q$from\E connected/
            ? $1 : 0;
    });

    return qr/: \*$number /;
}
