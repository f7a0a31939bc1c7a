#!/usr/bin/perl

# Tests for users who connect and reset at once: the destination may not hear
# of them at all, or sees a reset, but never an end.

use strict;
use warnings;

use Test::More;

use Socket qw/ SHUT_WR /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format status "$trp_status $status";
    access_log %%TESTDIR%%/stream.log status;

    upstream relay {
        server 127.0.0.1:8433;

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

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'discard', record => 'record.log');

$relay->run();
$reverse->run();
$entry->run()->plan(5 + 2 * 2);

my $users = 400;

is(visit_discard(), 'eof', 'somebody before');

for my $i (1 .. $users) {
    my $s = connect_to(port(8080));

    syswrite $s, 'x' x (10 ** ($i % 5)) if $i % 2;
    abort($s);
}

ok(wait_log($entry, qr/./, file => 'stream.log', count => $users + 1),
    'all are over');
is(visit_discard(), 'eof', 'somebody behind them');

# destinations are told in the order in which they were connected

ok(wait_log($reverse, qr/ eof$/, file => 'record.log', count => 2),
    'both were recorded');

my @lines = served($reverse, 'record.log');
is(grep({ / eof$/ } @lines), 2, 'nobody else has ended')
    or diag(scalar @lines . ' connections to the destination');


sub visit_discard {
    my $s = connect_to(port(8080));

    syswrite $s, 'x';
    shutdown $s, SHUT_WR;
    return end_of($s);
}
