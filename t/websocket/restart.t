#!/usr/bin/perl

# A web server that is reloaded, and one that is gone for a while: a user who is
# served stays through a reload, and tunnels come back by themselves.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebServers;

my $relay = Test::Nginx->new()->has(qw/ http http_ssl proxy stream
    stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();
my $web = Test::Nginx->new();

relay_and_agents($relay, $entry, $reverse);

$web->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 5s;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:8081;
        listen 127.0.0.1:8444 ssl;
        ssl_certificate web.crt;
        ssl_certificate_key web.key;

        location /trp {
            proxy_pass http://127.0.0.1:8443;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
}

EOC

$web->write_file($_, $relay->read_file($_)) for 'web.crt', 'web.key';

serve($relay, port(8090), 'echo');

$_->run() for $relay, $web, $reverse, $entry;
$relay->plan(8 + 3 * 2);

my $s = connect_to(port(8082));
is(transfer($s, 100_000, fin => 0)->{end}, 'open', 'one who stays');

my ($before) = worker_pids($web);
$web->reload();
ok(wait_for(sub { grep { $_ != $before } worker_pids($web) }), 'reload');

ok(visit(port(8082)), 'another one');
is(transfer($s, 100_000)->{end}, 'eof', 'the one who stays');

# killed (the master first, or it would start another worker), it cuts
# everything; tunnels are dialled in vain until it is back

$s = connect_to(port(8082));
is(transfer($s, 100_000, fin => 0)->{end}, 'open', 'one who is cut');

kill 'KILL', nginx_pid($web), worker_pids($web);
is(end_of($s), 'reset', 'by a reset');

ok(wait_log($entry, qr/connect\(\) failed .* while connecting to web server/),
    'gone');

$web->stop();
$web->run();

ok(wait_for(sub { visit(port(8082), timeout => 2) }, 60), 'back');
