#!/usr/bin/perl

# A user who has waited for the first agent of a group is counted in its row.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http /);
my $reverse = Test::Nginx->new();

my $hub = <<'EOC';
    upstream hub {
        trp_entry local;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass hub;
    }
EOC

status_relay_conf($relay, stream => $hub);
reverse_conf($reverse, 8443);

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', scalar trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$relay->run()->plan(3 + 2);

my $s = stream('127.0.0.1:' . port(8080));
$s->write('x');

ok(row_is('servers', { streams => 1, streams_total => 1 }), 'a user waits');

$reverse->run();

is($s->read(length => 1), 'x', 'is served');
ok(row_is('groups', { streams => 1, streams_total => 1 }), 'and counted');
