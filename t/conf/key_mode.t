#!/usr/bin/perl

# Who may read the files with secrets, for nginx to take them: not everybody,
# and a group only if root or the user of nginx has it so.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# mode, owner, group, 1 if it is good

my ($root, $other) = (0, 65534);

my @tests = (
    [ 0400, $root, $root, 1 ],
    [ 0600, $root, $root, 1 ],
    [ 0440, $root, $other, 1 ],
    [ 0640, $root, $other, 1 ],
    [ 0440, $root, $root, 1 ],
    [ 0400, $other, $root, 1 ],
    [ 0440, $other, $root, 0 ],
    [ 0640, $other, $other, 0 ],
    [ 0444, $root, $root, 0 ],
    [ 0404, $root, $root, 0 ],
    [ 0602, $root, $root, 0 ],
    [ 0601, $root, $root, 0 ],
    [ 0444, $other, $other, 0 ],
);

plan(skip_all => 'must be root') if $> != 0;

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key auth;
        trp_reverse_ssl_verify off;
        return ok;
    }

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_external_address 127.0.0.1;
        trp_turn_portal ws://127.0.0.1:%%PORT_8081%%;
        trp_turn_portal_token_file token;
    }
}

EOC

trp_keys($t, 'auth');
$t->write_file('token', 'token');
chmod 0600, $t->testdir() . '/token';

plan(tests => 2 * @tests + 2);

for my $file (qw/ auth token /) {
    for my $test (@tests) {
        my ($mode, $owner, $group, $good) = @$test;
        my $path = $t->testdir() . "/$file";

        chown $owner, $group, $path;
        chmod $mode, $path;

        like(nginx_test($t), $good ? qr/test is successful/
            : qr/file ".*\/$file" can be read by others, run "chmod 600 /,
            sprintf '%s, %04o of %d:%d', $file, $mode, $owner, $group);
    }

    chown 0, 0, $t->testdir() . "/$file";
    chmod 0600, $t->testdir() . "/$file";
}
