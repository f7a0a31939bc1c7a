#!/usr/bin/perl

# Tests for UDP ASSOCIATE with more destinations than an association may have:
# for a new one that one is forgotten which was not used for the longest time,
# and tunnels are used again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::IP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

use constant { MAX => 256, MORE => 44 };

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
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
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
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

    log_format main "$trp_destination_port $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

my @servers = map {
    IO::Socket::IP->new(Proto => 'udp', LocalHost => '127.0.0.1')
        || die("no socket: $!\n");
} 1 .. MAX + MORE;
my @ports = map { $_->sockport() } @servers;

$relay->run_daemon(\&echo, @servers);
$_->close() for @servers;

$relay->run();
$entry->run();
$reverse->run()->plan(8 + 2 * 2);

my $c = socks_udp(port(8080));

# as many as there may be, the first of them used once more

is(answers($c, @ports[0 .. MAX - 1]), MAX, 'all of them');
is(scalar ended($reverse), 0, 'none was forgotten');
is(answers($c, $ports[0]), 1, 'the first is used again');

# the new ones take the place of those that come behind it

is(answers($c, @ports[MAX .. $#ports]), MORE, 'more of them');
ok(wait_for(sub { ended($reverse) >= MORE }), 'as many were forgotten');
is_deeply([ sort { $a <=> $b } ended($reverse) ],
    [ sort { $a <=> $b } @ports[1 .. MORE] ], 'the right ones');

is(answers($c, @ports[0 .. MORE]), MORE + 1, 'they are found again');

# the session's end is the end of all

my $before = () = ended($reverse);
$c->close();
ok(wait_for(sub { ended($reverse) == $before + MAX }), 'all have ended');


# how many of these destinations have answered

sub answers {
    my ($c, @ports) = @_;

    return scalar grep {
        my $m = $c->ask("127.0.0.1:$_", "to $_");
        $m && $m->{data} eq "to $_" && $m->{from} eq "127.0.0.1:$_";
    } @ports;
}


# ports of the sessions that have ended well

sub ended {
    my ($t) = @_;
    my @ports = map { /^(\d+) ok$/ ? $1 : () } served($t, 'access.log');

    return @ports;
}


sub echo {
    my @servers = @_;
    my $select = IO::Select->new(@servers);

    while (1) {
        for my $s ($select->can_read()) {
            my $from = recv $s, my $data, 65536, 0;
            send $s, $data, 0, $from if defined $from;
        }
    }
}
