#!/usr/bin/perl

# Tests for a relay that a reload takes out of the configuration while an old
# worker has something to finish: nobody is told of that relay any more.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Processes;
use Test::Nginx::TRP::Rows;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $agent = Test::Nginx->new();

relay_conf($relay, 8443);

status_conf($agent, main => 'error_log %%TESTDIR%%/notice.log notice;',
    stream => <<'EOC');
    upstream relay {
        server 127.0.0.1:8443;
        server 127.0.0.1:8444;
        server 127.0.0.1:8445;
        trp_entry;
        trp_entry_key hall;
        trp_entry_connect_timeout 1s;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:1 bind=127.0.0.1;
        proxy_pass relay;
    }
EOC

trp_cert($relay, $agent);
$relay->write_file('authorized_keys', trp_keys($agent, 'hall') . "\n");

# one that does not answer, and one that is not there

my $silent = IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1',
    LocalPort => port(8444), ReuseAddr => 1) || die("no socket: $!\n");

$relay->run();
$agent->run()->plan(6 + 2);

ok(wait_for(sub { (grep { $_->{failures} } relays()) == 2 }), 'relays are down');

# a request that is not complete holds the old worker

my ($old) = worker_pids($agent);
my $request = connect_to(port(8080));
$request->syswrite("GET / HTTP/1.0\r\n");
http_get('/trp/status.json');

my $errors = count_log($agent, qr/\[error\]/, file => 'notice.log');

$agent->write_file('nginx.conf', $agent->read_file('nginx.conf')
    =~ s/ +server \S+:(?:${\ port(8444)}|${\ port(8445)});\n//gr);
$agent->reload();

ok(wait_for(sub { grep { $_->{exiting} } workers() }), 'the old worker exits');
ok(wait_for(sub { relays() == 1 }), 'relays that are gone have no rows');
is((relays())[0]{state}, 'up', 'the other one is up');
ok(kill(0, $old), 'the old worker is still there');
is(count_log($agent, qr/\[error\]/, file => 'notice.log'), $errors,
    'it has told no error');


sub relays {
    return @{status()->{relays} || []};
}


sub workers {
    return @{status()->{workers} || []};
}


sub status {
    return status_json(http_get('/trp/status.json'));
}
