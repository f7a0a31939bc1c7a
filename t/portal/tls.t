#!/usr/bin/perl

# Tests for TLS to a portal: its certificate must be good, and for its name.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Portal;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 1s;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;

        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal wss://HOST:%%PORT_8081%%;
        trp_turn_portal_token_file token;
        trp_turn_portal_trusted_certificate CERTIFICATE;
    }
}

EOC

my $conf = $t->read_file('nginx.conf');

$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

trp_ca($t, 'north');
trp_ca($t, 'south');
trp_issue($t, 'north', 'good', names => 'DNS:localhost,IP:127.0.0.1');
trp_issue($t, 'north', 'other', names => 'DNS:portal.example,IP:127.0.0.2');

my $portal = Test::Nginx::TRP::Portal->new($t, port(8081), ssl => 'good');

configure($t, $conf, 'localhost', 'south.crt');
$t->run()->plan(11);

like(refused($t, 1), qr/unable to (get|verify).*name "localhost"/,
    'another authority');

configure($t, $conf, '127.0.0.1', '');
reload_and_wait($t);
like(refused($t, 2), qr/unable to (get|verify).*name "127\.0\.0\.1"/,
    'those of the system');

$portal->stop();
$portal->{ssl} = 'other';
$portal->start();

configure($t, $conf, 'localhost', 'north.crt');
reload_and_wait($t);
like(refused($t, 3), qr/hostname mismatch.*name "localhost"/i,
    'another name');

configure($t, $conf, '127.0.0.1', 'north.crt');
reload_and_wait($t);
like(refused($t, 4), qr/IP address mismatch.*name "127\.0\.0\.1"/i,
    'another address');

is($portal->count(qr/ request/), 0, 'the token was not sent');
is(turn(port => port(8478), timeout => 0.5)->binding()->{class}, 'timeout',
    'nothing is served');

# the good one, by name and address

$portal->stop();
$portal->{ssl} = 'good';
$portal->start();

ok(wait_log($t, qr/portal sent "init"/), 'address');
is(turn(port => port(8478))->binding()->{code}, 0, 'is served');

configure($t, $conf, 'localhost', 'north.crt');
reload_and_wait($t);

ok(wait_log($t, qr/portal sent "init"/, count => 2), 'name');
is($portal->count(qr/Host: localhost:\d+$/), 1, 'host');
is(turn(port => port(8478), $portal->credentials())->allocate()->{code}, 0,
    'is served');


sub configure {
    my ($t, $conf, $host, $certificate) = @_;

    $conf =~ s/HOST/$host/;
    $conf =~ s/CERTIFICATE/$certificate/;
    $conf =~ s/^.*trusted_certificate ;\n//m;

    $t->write_file('nginx.conf', $conf);
}


# the error of this configuration

sub refused {
    my ($t, $n) = @_;
    my $re = qr/\[error\].*portal SSL certificate verify error/;

    wait_log($t, $re, count => $n);

    return (grep { $_ =~ $re } split /\n/, $t->read_file('error.log'))[$n - 1];
}
