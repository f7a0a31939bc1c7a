#!/usr/bin/perl

# The example of a relay with status: who gets it, and who does not.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Programs;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl http http_ssl /);

my @curl = example($t, 'monitoring', 4433 => port(8080), 9113 => port(8081),
    9443 => port(8082));

$t->plan(6);

my ($local, $remote) = map { [ split ] } @curl;
my $ca = $t->testdir() . '/cert/server.crt';
s!^cert/server\.crt$!$ca! for @$remote;

like(curl(@$local), qr/^trp_info\{.*^200 text\/plain/ms, 'metrics, local');
like(curl($local->[0] =~ s/metrics/status.json/r), qr/^404 /m,
    'only metrics');
like(curl(@$remote), qr/^\{"version":.*^200 application\/json/ms,
    'a password');
like(curl((grep { $_ ne '-u' && $_ !~ /^admin/ } @$remote)), qr/^401 /m,
    'none');
like(curl(map { s/^admin:secret$/admin:wrong/r } @$remote), qr/^401 /m,
    'a wrong one');
like(curl('--compressed', '-i', @$remote), qr/^Content-Encoding: gzip\r/m,
    'compressed');


sub curl {
    return output('curl', '-s', '-w', "\n%{http_code} %{content_type}\n", @_);
}
