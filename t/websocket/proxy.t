#!/usr/bin/perl

# Both at once: an agent behind a proxy, squid, whose relay is behind a web
# server.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Proxies;
use Test::Nginx::TRP::WebServers;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_and_agents($relay, $entry, $reverse, <<'EOC');
        trp_reverse_proxy http://alice:secret@127.0.0.1:%%PORT_8128%%;
EOC

haproxy($relay, port(8081), port(8444), port(8443))
    or plan(skip_all => 'no haproxy');
squid($reverse, port(8128), auth => 'basic',
    more => 'acl SSL_ports port ' . port(8444),
    hosts => '127.0.0.1 localhost') or plan(skip_all => 'no squid');

serve($relay, port(8090), 'echo');

$_->run() for $relay, $reverse, $entry;
$relay->plan(4 + 2 * 2);

ok(visit(port(8082)), 'a user');
ok(visit(port(8082), bytes => 10_000_000), 'many bytes');

is(count_log($_, qr/\[(?:warn|error|crit|alert)\]/), 0, 'no errors')
    for $entry, $reverse;
