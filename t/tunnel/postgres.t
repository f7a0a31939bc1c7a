#!/usr/bin/perl

# Tests for PostgreSQL, with a server of their own.

use strict;
use warnings;

use Test::More;

use File::Temp qw/ tempdir /;
use POSIX ();

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs qw/ output /;

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

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

my ($bin) = grep { -x "$_/initdb" } reverse glob '/usr/lib/postgresql/*/bin';
my $owner = $< ? getpwuid $< : 'postgres';

plan(skip_all => 'no PostgreSQL') if !$bin || !getpwnam $owner;
$relay->has_daemon('psql');

start_postgres();

$relay->run();
$reverse->run();
$entry->run()->plan(4 + 2 * 2);

my @psql = ('psql', '-h', '127.0.0.1', '-p', port(8080), '-U', $owner,
    '-qAtX', '-d', 'postgres');

is(output(@psql, '-c', 'select 6 * 7'), "42\n", 'query');
is(output(@psql, '-c', "select repeat('x', 1000000)"), 'x' x 1_000_000 . "\n",
    'long answer');
is(output(@psql, '-c', 'create table t (i int)', '-c',
    'insert into t select generate_series(1, 10000)', '-c',
    'select sum(i) from t'), "50005000\n", 'several queries');
is(output(@psql, '-c', 'copy t to stdout'),
    join('', map { "$_\n" } 1 .. 10_000), 'copy');


sub start_postgres {
    my $data = tempdir(CLEANUP => 1);
    my (undef, undef, $uid, $gid) = getpwnam $owner;

    chown $uid, $gid, $data;

    $reverse->run_daemon(sub {
        if ($< == 0) {
            POSIX::setgid($gid);
            POSIX::setuid($uid);
        }

        chdir '/';
        open STDERR, '>', "$data/log";

        output("$bin/initdb", '-D', "$data/db", '-A', 'trust', '-U', $owner,
            '--no-sync');

        exec "$bin/postgres", '-D', "$data/db", '-p', port(8081),
            '-h', '127.0.0.1', '-k', $data, '-F';
    });

    $reverse->waitforsocket('127.0.0.1:' . port(8081));

    # it listens before it is ready

    wait_for(sub {
        output("$bin/pg_isready", '-h', '127.0.0.1', '-p', port(8081))
            =~ /accepting/;
    });
}
