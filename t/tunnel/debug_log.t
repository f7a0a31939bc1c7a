#!/usr/bin/perl

# "error_log ... debug" tells the story of one connection: the lines that have
# its id, on each role, in the order in which things happen.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl --with-debug /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

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

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key any;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass relay;
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

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key any;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%%;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n",
    trp_keys($entry, 'any'),
    trp_keys($reverse, 'any'), '');
serve($relay, port(8090), 'hello', data => "x\n");

$_->run() for $relay, $reverse, $entry;
$relay->plan(4 + 4);

my $s = connect_to(port(8080));
my $from = '127.0.0.1:' . $s->sockport();
readline $s;
shutdown $s, 1;
end_of($s);
close $s;

my $open = qr/OPEN .* tcp to 127\.0\.0\.1:@{[port(8090)]}, from \Q$from\E,/;
my $id = wait_for(sub {
    $entry->read_file('error.log') =~ /tx OPEN .*stream (\w{16}),.* \Q$from\E,/
        ? $1 : 0;
});

is(story($entry, qr/$id/, qr/accepted, the route leads to "127\.0\.0\.1:/,
    qr/the balancer's choice is "127\.0\.0\.1:/, qr/takes tunnel \*\d+ of/,
    qr/tx $open/, qr/rx ACCEPT/, qr/accepted by the reverse/, qr/rx DATA/,
    qr/tx END/, qr/tx DONE/, qr/the proxy closes it, read: ended/,
    qr/leaves tunnel/), 'all', 'entry');
is(story($relay, qr/$id/, qr/rx $open/,
    qr/is paired: entry .*, tunnel .* of reverse /, qr/tx $open/,
    qr/rx ACCEPT/, qr/tx ACCEPT/, qr/rx DATA/, qr/tx DATA/, qr/tx END/,
    qr/is over: ok/), 'all', 'relay');
is(story($reverse, qr/$id/, qr/rx $open/, qr/takes tunnel/,
    qr/\*\d+ trp .* is a TCP connection to "127\.0\.0\.1:/, qr/tx ACCEPT/,
    qr/tx DATA/, qr/tx END/, qr/leaves tunnel/), 'all', 'reverse');

# the tunnel, which the id has named, goes back to the pool

my ($number) = $entry->read_file('error.log') =~ /$id: takes tunnel \*(\d+)/;
ok(wait_log($entry, qr/\*$number trp pool .* the tunnel is idle/),
    'back to the pool');
