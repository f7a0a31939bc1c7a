#!/usr/bin/perl

# Agents behind squid: a reverse with Basic, an entry with Digest, to a relay
# whose name only the proxy can resolve; what is refused; a reload.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Proxies;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
EOC

$entry->write_file_expand('nginx.conf', $head . <<'EOC');

    upstream relay {
        server relay.example:%%PORT_8443%%;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=4 max=40;
        trp_entry_ssl_name localhost;
        trp_entry_ssl_trusted_certificate localhost.crt;
        trp_entry_proxy http://alice@127.0.0.1:8129;
        trp_entry_proxy_password_file password;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', $head . <<'EOC');

    upstream relay {
        server relay.example:%%PORT_8443%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=4 max=40;
        trp_reverse_ssl_name localhost;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_proxy http://alice:s%65cret@127.0.0.1:8128;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));
$entry->write_file('password', "secret\n");

my $hosts = '127.0.0.1 relay.example';

squid($reverse, port(8128), auth => 'basic', hosts => $hosts)
    or plan(skip_all => 'no squid');
squid($entry, port(8129), auth => 'digest', hosts => $hosts);

serve($reverse, port(8090), 'echo');

$_->run() for $relay, $reverse, $entry;
$relay->plan(10 + 2 * 2);

wait_log($_, qr{ tunnel is ready}, count => 8) for $reverse, $entry;

ok(visit(port(8080), bytes => 1_000_000), 'a megabyte there and back');
is(join(' ', map { visit(port(8080)) } 1 .. 20), join(' ', (1) x 20), 'twenty');

my @many = map { connect_to(port(8080)) } 1 .. 20;
my @results = map { transfer($_, 100_000) } @many;
is(grep({ $_->{received_sha} eq $_->{sent_sha} && $_->{end} eq 'eof' }
    @results), 20, 'twenty at a time');

is(count_log($_, qr/\[(?:warn|error|crit|alert|emerg)\]/), 0, 'no errors')
    for $reverse, $entry;

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{end}, 'open', 'one who stays');

reload_and_wait($entry, 2);
reload_and_wait($reverse, 2);

ok(wait_for(sub { visit(port(8080), timeout => 2) }), 'after a reload');
is(transfer($s, 1000)->{end}, 'eof', 'and who was there before');

ok(visit(port(8080), bytes => 100_000), 'another one');
like($reverse->read_file('error.log'), qr/relay: relay\.example:\d+/,
    'the name of the relay');
