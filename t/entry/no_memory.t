#!/usr/bin/perl

# Tests for an entry that has no memory to keep what its users send ahead of
# ACCEPT: they wait for it, and nothing else happens.

use strict;
use warnings;

use Test::More;

use IO::Select;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

plan(skip_all => 'malloc() is that of a sanitizer') if $ENV{ASAN_OPTIONS};
plan(skip_all => 'no compiler')
    if system('cc --version > /dev/null 2>&1');

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
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        # of another size than what is to fail
        proxy_buffer_size 8k;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$relay->run();
$reverse->run();

{
    local $ENV{TRP_PRELOAD} = no_memory($entry, 16384);
    $entry->run()->plan(4 + 2 * 2);
}

ok(visit(port(8080)), 'with memory');

$entry->write_file('fail', '');

# ACCEPT comes when the entry has tried to write

my @workers = worker_pids($reverse);
kill 'STOP', @workers;

my $s = connect_to(port(8080));
syswrite $s, 'SEE';
ok(wait_log($entry, qr/malloc\(16384\) failed/), 'no memory');

kill 'CONT', @workers;

my $data = '';
sysread($s, $data, 3) if IO::Select->new($s)->can_read(10);
is($data, 'SEE', 'echo');

my $result = transfer($s, 1_000_000, timeout => 10);
is("$result->{received} $result->{end}", '1000000 eof', 'transfer');


# a library in whose presence malloc() of this size fails, while there is a
# file "fail"

sub no_memory {
    my ($t, $size) = @_;
    my $dir = $t->testdir();

    $t->write_file('malloc.c', <<"EOC");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

void *__libc_malloc(size_t size);

void *
malloc(size_t size)
{
    if (size == $size && access("$dir/fail", F_OK) == 0) {
        errno = ENOMEM;
        return NULL;
    }

    return __libc_malloc(size);
}
EOC

    system("cc -shared -fPIC -o $dir/malloc.so $dir/malloc.c") == 0
        or die "can't compile\n";

    return "$dir/malloc.so";
}
