#!/usr/bin/perl

# Tests for an agent whose workers are killed: its rows are those of the workers
# that there are, and nobody is told that a relay had been lost.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Rows;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $agent = Test::Nginx->new();

relay_conf($relay, 8443);

status_conf($agent, main => <<'EOM', stream => <<'EOC');
error_log %%TESTDIR%%/notice.log notice;
worker_processes 2;
EOM
    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key hall;
        trp_entry_pool idle=2;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:1 bind=127.0.0.1;
        proxy_pass relay;
    }
EOC

trp_cert($relay, $agent);
$relay->write_file('authorized_keys', trp_keys($agent, 'hall') . "\n");

$agent->todo_alerts();

$relay->run();
$agent->run()->plan(8 + 2);

my $row = wait_row(4, 4);
is($row->{tunnels}, 4, 'tunnels of two workers');

my $since = $row->{since};

# one, and then both at once

kill 'KILL', (worker_pids($agent))[0];

is(wait_row(6, 4)->{tunnels}, 4, 'no more than there are');

kill 'KILL', worker_pids($agent);

$row = wait_row(10, 4);
is($row->{tunnels}, 4, 'and after both');
is($row->{idle}, 4, 'idle ones');
is($row->{since}, $since, 'the relay was there all the time');
is($row->{state}, 'up', 'up');

my $me = qr/ (?:connected to relay|lost the last) /;

is(count_log($agent, $me, file => 'notice.log'), 1, 'one line, at the start');
is(count_log($agent, qr/\[error\]/, file => 'notice.log'), 0, 'no error');


# the row when so many tunnels have been made, and so many are there

sub wait_row {
    my ($total, $tunnels) = @_;
    my $row;

    # a request may come to a worker that is killed

    return wait_for(sub {
        my $answer = http_get('/trp/status.json') || '';
        return if $answer !~ /^\}\n\z/m;

        ($row) = @{status_json($answer)->{relays}};
        return $row && $row->{tunnels_total} >= $total
            && $row->{tunnels} == $tunnels && $row->{idle} == $tunnels;
    }) ? $row : {};
}
