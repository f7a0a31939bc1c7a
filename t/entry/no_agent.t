#!/usr/bin/perl

# Tests for users who come when no reverse is there: they wait, and are
# served or, after the timeout, reset.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    ssl_protocols TLSv1.3;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    trp_authorized_keys authorized_keys;

    server {
        listen 127.0.0.1:8443 ssl;
        trp_relay;
        trp_relay_open_timeout 1h;
    }

    server {
        listen 127.0.0.1:8444 ssl;
        trp_relay;
        trp_relay_open_timeout 100ms;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    proxy_half_close on;

    upstream patient {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_open_timeout 1h;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream impatient {
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_key entry;
        trp_entry_open_timeout 1h;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream busy {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_group nobody;
        trp_entry_open_timeout 100ms;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8083%% bind=127.0.0.1;
        proxy_pass patient;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8083%% bind=127.0.0.1;
        proxy_pass impatient;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8083%% bind=127.0.0.1;
        proxy_pass busy;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8083%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8083), 'echo');

$relay->run();
$entry->run()->plan(19 + 4);

# until the relay's timeout

my $s = connect_to(port(8081), timeout => 30);
syswrite $s, 'anybody?';
is(end_of($s), 'reset', 'the user is reset');

ok(wait_log($relay, qr/\[error\].* no reverse in group "0" was there for /),
    'the reason');
is(count_log($relay, qr/\[error\]/), 1, 'one line');
ok(wait_log($relay, qr/^503 no agent$/, file => 'access.log'),
    'access log of the relay');
ok(wait_log($entry, qr/^502 no agent$/, file => 'access.log'),
    'access log of the entry');

# the tunnel is as good as before

$s = connect_to(port(8081), timeout => 30);
is(end_of($s), 'reset', 'the next user');
is(count_log($relay, qr/\[error\]/), 2, 'again one line');

# until the entry's timeout

$s = connect_to(port(8082), timeout => 30);
is(end_of($s), 'reset', 'timeout of the entry');
ok(wait_log($entry, qr/stream was not opened in time/), 'the reason');
ok(wait_log($entry, qr/^502 timed out$/, file => 'access.log'), 'access log');

# one who gives up meanwhile

$s = connect_to(port(8080), timeout => 30);
syswrite $s, 'never mind';
ok(wait_for(sub { tcp_count(port(8080)) >= 1 }), 'one more waits');
abort($s);

# several who wait are served when a reverse comes

my @waiting = map { connect_to(port(8080), timeout => 30) } 1 .. 20;
syswrite $_, 'early ' for @waiting;

$reverse->run();

my $result = transfer($waiting[0], 1000, fin => 0);
is($result->{end}, 'open', 'the first one is served');
close $waiting[0];

my $served = 0;

for my $user (@waiting[1 .. $#waiting]) {
    shutdown $user, 1;
    my $all = '';
    while (sysread $user, my $part, 4096) {
        $all .= $part;
    }
    $served++ if $all =~ /^early 6 [0-9a-f]{64}\n\z/;
}

is($served, 19, 'the others too');

$result = transfer(connect_to(port(8080), timeout => 30), 100_000);
is("$result->{received} $result->{end}", '100000 eof', 'one who comes later');
is($result->{received_sha}, $result->{sent_sha}, 'bytes');

is(count_log($relay, qr/\[error\]/), 2, 'no more errors');

# and it goes away again

$reverse->stop();
$s = connect_to(port(8080), timeout => 30);
syswrite $s, 'x';
ok(wait_for(sub { tcp_count(port(8080)) >= 1 }), 'waits');
$reverse->run();
shutdown $s, 1;
sysread $s, my $answer, 100;
like($answer, qr/^x/, 'until it comes back');
is(end_of($s), 'eof', 'whole answer');
