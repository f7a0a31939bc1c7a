#!/usr/bin/perl

# Tests for DNS by UDP ASSOCIATE over a tunnel: a resolver's questions and
# answers, small and large, from one name server and from another.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream relay {
        server 127.0.0.1:8443;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        trp_socks5_user alice:secret;
        proxy_pass relay;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;

        resolver 127.0.0.1:%%PORT_8982_UDP%%;
        trp_reverse_allow 127.0.0.1 ns.example;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry'),
    trp_keys($t, 'reverse'));

my ($one, $two) = map { port($_, udp => 1) } 8982, 8983;
my $large = 'txt ' . join '', map { sprintf '%08d', $_ } 1 .. 150;

name_server($t, $one, 'ns.example' => '127.0.0.1',
    'a.example' => '192.0.2.1 192.0.2.2 2001:db8::1',
    'large.example' => $large);
name_server($t, $two, 'a.example' => '192.0.2.9');

$t->run()->plan(11);

my $u = socks_udp(port(8080), user => 'alice', password => 'secret');

is($u->rep(), 0, 'UDP ASSOCIATE');

is(ask($u, "127.0.0.1:$one", 'a.example', 'A'),
    "127.0.0.1:$one 192.0.2.1 192.0.2.2", 'A');
is(ask($u, "127.0.0.1:$one", 'a.example', 'AAAA'),
    "127.0.0.1:$one 2001:db8::1", 'AAAA');
is(ask($u, "127.0.0.1:$one", 'large.example', 'TXT'),
    "127.0.0.1:$one " . substr($large, 4), 'large answer');
is(ask($u, "127.0.0.1:$one", 'none.example', 'A'),
    "127.0.0.1:$one no such name", 'no such name');

# the answers are told apart by where they come from

is(ask($u, "127.0.0.1:$two", 'a.example', 'A'), "127.0.0.1:$two 192.0.2.9",
    'another name server');
is(ask($u, "ns.example:$one", 'a.example', 'A'),
    "ns.example:$one 192.0.2.1 192.0.2.2", 'a name server by its name');

# many questions at once; some may get lost, those are asked again

my %open = map { $_ => 1 } 1 .. 200;

for my $try (1 .. 20) {
    last if !%open;

    for my $n (keys %open) {
        my $query = dns_query('a.example', 'A');
        substr $query, 0, 2, pack 'n', $n;
        $u->send_to("127.0.0.1:$one", $query);
    }

    while (%open and my $m = $u->receive(1)) {
        delete $open{unpack 'n', $m->{data}}
            if dns_answers($m->{data}) eq '192.0.2.1 192.0.2.2';
    }
}

is(keys %open, 0, 'two hundred questions');

# not allowed: the reverse says so in its log, and the association goes on

$u->send_to("127.0.0.2:$one", dns_query('a.example', 'A'));
ok(wait_log($t, qr/not allowed.*"127\.0\.0\.2:$one"/), 'not allowed');
is(ask($u, "127.0.0.1:$one", 'a.example', 'AAAA'),
    "127.0.0.1:$one 2001:db8::1", 'and goes on');

$u = socks_udp(port(8080), user => 'alice', password => 'secret');
is(ask($u, "127.0.0.1:$two", 'a.example', 'A'), "127.0.0.1:$two 192.0.2.9",
    'another association');


sub ask {
    my ($u, $to, $name, $type) = @_;
    my $m = $u->ask($to, dns_query($name, $type)) or return 'no answer';

    return $m->{from} . ' ' . dns_answers($m->{data});
}
