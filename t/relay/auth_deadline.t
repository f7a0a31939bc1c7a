#!/usr/bin/perl

# From accept to authenticated is one deadline: a client that is late with its
# ClientHello has no more time for the rest, in the worker that it came to, or
# in another one.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw/ sleep time /;

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);

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
        trp_relay_auth_timeout 4s;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'entry'));
$relay->run()->plan(2);

# a hint for either worker: one of these is steered

my @late = map { { socket => tcp(),
    hello => client_hello('trp/2', "trp-slot/0$_") } } 0, 1;

# somebody who comes half a deadline later, and says nothing, has more time

my $start = time();
sleep 0.05 while time() < $start + 2;
my $silent = tcp();

sleep 0.05 while time() < $start + 3.6;

for (@late) {
    local $SIG{PIPE} = 'IGNORE';
    syswrite $_->{socket}, $_->{hello};
}

is(end_of($silent), 'eof', 'the silent one');
is(scalar(grep { ended($_->{socket}) } @late), 2, 'the others were before');


sub tcp {
    return IO::Socket::INET->new('127.0.0.1:' . port(8443))
        || die "can't connect: $!\n";
}


# now: what there is to read ends

sub ended {
    my ($s) = @_;

    $s->blocking(0);

    while (IO::Select->new($s)->can_read(0)) {
        my $n = sysread $s, my $data, 65536;
        return 1 if !$n;
    }

    return 0;
}
