#!/usr/bin/perl

# Tests for users with TLS that ends at the entry: an abort of the destination
# is no close_notify.

use strict;
use warnings;

use Test::More;

use Socket qw/ SOL_SOCKET SO_LINGER /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl /);
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

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    ssl_certificate user.crt;
    ssl_certificate_key user.key;

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1 ssl;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1 ssl;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1 ssl;
        trp_route %%PORT_8083%%:%%PORT_8099%% bind=127.0.0.1 ssl;

        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8085%%:%%PORT_8090%% bind=127.0.0.1 ssl;
        trp_route %%PORT_8086%%:%%PORT_8091%% bind=127.0.0.1 ssl;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($entry);
rename $entry->testdir() . "/localhost.$_", $entry->testdir() . "/user.$_"
    for qw/ crt key /;
trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve($reverse, port(8091), 'reset', after => 4);
$reverse->run_daemon(\&greets, listener(port(8092)));

$relay->run();
$reverse->run();
$entry->run()->plan(13 + 2 * 2);

# a clean end of the destination is one of TLS

my $s = user(8082);
is(talk($s, ''), 'hello', 'server first');
is(talk($s, 'SEE'), 'SEE', 'echo');
is(talk($s, 'x' x 100_000), 'x' x 100_000, 'long echo');
is(talk($s, 'quit'), 'quit', 'last words');
is(tls_end($s), 'close_notify', 'end');

# a reset is not

for my $port (8081, 8086) {
    $s = user($port);
    is(talk($s, 'SEE', 0), '', 'before the reset');
    $s->syswrite('!');
    isnt(tls_end($s), 'close_notify', 'reset');
}

isnt(tls_end(user(8083)), 'close_notify', 'refused');

# the user's own end, and an abort of his

$s = user(8085);
is(talk($s, 'SEE'), 'SEE', 'echo with half-close');
close $s;
ok(wait_log($reverse, qr/^3 \S+ eof$/, file => 'echo.log'), 'close_notify');

$s = user(8085);
talk($s, 'ABORT');
setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
$s->close(SSL_no_shutdown => 1);
ok(wait_log($reverse, qr/^5 \S+ reset$/, file => 'echo.log'), 'abort of user');


sub user {
    my ($port) = @_;

    return IO::Socket::SSL->start_SSL(connect_to(port($port)),
        SSL_verify_mode => 0) || die 'no TLS: ' . IO::Socket::SSL::errstr();
}


# sends, and reads as many bytes; all have a greeting of five without sending

sub talk {
    my ($s, $data, $length) = @_;
    my $reply = '';

    $length = length($data) || 5 if !defined $length;
    $s->print($data) if $data ne '';

    while (length $reply < $length) {
        $s->sysread($reply, $length, length $reply) or last;
    }

    return $reply;
}


# how the user's TLS connection ends

sub tls_end {
    my ($s) = @_;
    local $SIG{ALRM} = sub { die "timeout\n" };

    alarm 30;
    eval { 1 while $s->sysread(my $data, 16384); };
    alarm 0;

    return $@ if $@;

    # SSL_RECEIVED_SHUTDOWN

    return Net::SSLeay::get_shutdown($s->_get_ssl_object()) & 2
        ? 'close_notify' : 'none';
}


sub greets {
    my ($listener) = @_;

    while (my $s = $listener->accept()) {
        syswrite $s, 'hello';

        while (sysread $s, my $data, 65536) {
            syswrite $s, $data;
            last if $data eq 'quit';
        }

        close $s;
    }
}
