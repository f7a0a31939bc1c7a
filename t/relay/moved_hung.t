#!/usr/bin/perl

# A worker of the relay that hangs keeps agents from their tunnels in its own
# groups only: what MOVED says to one agent is not for others of its address.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

use constant GROUPS => 24;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    trp_reverse_key reverse;
    trp_reverse_ssl_name localhost;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8443;
    }

EOC

$conf .= <<EOC for 1 .. GROUPS;
    server {
        trp_reverse relay;
        trp_reverse_group group$_;
        trp_reverse_pool idle=1;
        proxy_pass \$trp_destination;
    }

EOC

$reverse->write_file_expand('nginx.conf', $conf . "}\n");

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', trp_keys($reverse, 'reverse'));

$relay->run();

# which groups are whose

$reverse->run()->plan(4 + 2);

ok(wait_log($relay, qr/ has a tunnel in group /, count => GROUPS), 'tunnels');

my %worker;

for my $line (split /\n/, $relay->read_file('error.log')) {
    $worker{$2} = $1
        if $line =~ / (\d+)#\d+: .* has a tunnel in group "(group\d+)"/;
}

my ($well, $hung) = worker_pids($relay);
my @expected = grep { $worker{$_} == $well } keys %worker;

ok(@expected && @expected < GROUPS, 'groups in both workers');

$reverse->stop();
kill 'STOP', $hung;

my $count = count_log($relay, qr/ has a tunnel in group /);

$reverse->run();

ok(wait_log($relay, qr/ has a tunnel in group /,
    count => $count + @expected), 'those of the other worker are back');

kill 'CONT', $hung;

ok(wait_log($relay, qr/ has a tunnel in group /, count => $count + GROUPS),
    'and all, when it goes on');
