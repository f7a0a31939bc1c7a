#!/usr/bin/perl

# Users are there before the reverse is: entries leave connections of the
# relay for it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 100;
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
        trp_relay_open_timeout 1h;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_open_timeout 1h;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8081), 'echo');

$relay->run();
$entry->run()->plan(3 + 4);

wait_log($relay, qr/entry .* has a tunnel /, count => 4);

my @users = map { user() } 1 .. 150;

ok(wait_log($relay, qr/not authorized: entries have their share/),
    'as many as the relay takes');
is(count_log($relay, qr/entry .* has a tunnel /), 44, 'their share');

$reverse->run();

wait_for(sub { 36 <= grep { answered($_) } @users });
cmp_ok(scalar(grep { answered($_) } @users), '>=', 36, 'served');

$_->{socket}->close() for @users;


sub user {
    my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080))
        or die "can't connect: $!\n";

    $s->blocking(0);
    syswrite $s, 'hello';

    return { socket => $s, in => '' };
}


sub answered {
    my ($user) = @_;
    sysread $user->{socket}, $user->{in}, 100, length $user->{in};
    return $user->{in} ne '';
}
