#!/usr/bin/perl

# Tests for "make install": modules, and on Debian the file that loads them, also
# if there is no nginx and no stream module of it yet.

use strict;
use warnings;

use Test::More;

use File::Temp qw/ tempdir /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

my @names = ((map { "ngx_trp_${_}_module" } qw/ relay entry reverse /),
    'ngx_http_trp_status_module');
my $objs = $ENV{OBJS} || ($ENV{SANITIZE} ? 'objs/asan' : 'objs');

chdir '../..' or die "can't enter the project: $!\n";

plan(skip_all => 'modules are not dynamic')
    if $ENV{STATIC} || !-e "$objs/ngx_trp_relay_module.so";
plan(tests => 7);

my $modules = '/usr/lib/nginx/modules';

# a machine that has none of the directories

my ($dir, $said) = install('MODULES_PATH=' . $modules);

is(join(' ', map { -e "$dir$modules/$_.so" ? $_ : () } @names), "@names",
    'modules');

SKIP: {
    skip 'not Debian', 6 if !-e '/etc/debian_version';

    my $file = "$dir/available/mod-stream-trp.conf";

    is(text($file), join('', map { "load_module modules/$_.so;\n" } @names),
        'file that loads them');
    like($said, qr!^ln -s /available/mod-stream-trp\.conf \S+/70-mod-!m,
        'how to enable it');
    like($said, qr/scripts\/packages run/, 'what is missing');

    # where nginx keeps modules is known from its sources, too

    skip 'no nginx-dev', 3 if !-e '/usr/share/nginx/src/conf_flags';

    ($dir, $said) = install('NGINX=no-nginx-here');

    is(join(' ', map { -e "$dir$modules/$_.so" ? $_ : () } @names), "@names",
        'modules, no nginx');
    isnt(text("$dir/available/mod-stream-trp.conf"), '', 'file, no nginx');

    # every package is named

    like(scalar(qx(sed -n '/^run=/s/.*=//p' scripts/packages)),
        qr/(?=.*\bnginx\b)(?=.*libnginx-mod-stream\b)(?=.*\bopenssl\b)/,
        'packages');
}


sub install {
    my (@args) = @_;
    my $dir = tempdir(CLEANUP => 1);

    local @ENV{qw/ MAKEFLAGS MFLAGS MAKELEVEL /};
    delete @ENV{qw/ MAKEFLAGS MFLAGS MAKELEVEL /};

    my $said = qx{make install DESTDIR=$dir AVAILABLE=/available @args 2>&1};
    die "make install: $said\n" if $?;

    return ($dir, $said);
}


sub text {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar <$fh>;
}
