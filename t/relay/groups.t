#!/usr/bin/perl

# Tests for groups: who is paired with whom, and how the load is shared.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# name of a reverse, its port at the destination, and what it allows

my @reverses = (
    [ 'a1', 8091, '127.0.0.1' ],
    [ 'a2', 8092, '127.0.0.1' ],
    [ 'b1', 8093, '127.0.0.1' ],
    [ 'c1', 8094, '127.0.0.1' ],
    [ 'c2', 8094, '10.0.0.0/8' ],
    [ 'd1', 8094, '10.0.0.0/8' ],
    [ 'd2', 8094, '10.0.0.0/8' ],
);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_group $trp_name $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    server {
        listen 127.0.0.1:8080 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_group $trp_name $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

EOC

$entry->write_file_expand('nginx.conf', $head . join '', map({
    my $port = 8080 + ord($_) - ord('a') + 1; <<"EOC" } 'a' .. 'd'), "}\n");
    upstream $_ {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_group $_;
        trp_entry_name near-$_;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_$port%%:22;
        proxy_pass $_;
    }

EOC

$reverse->write_file_expand('nginx.conf', <<"EOC" . reverses() . "}\n");
$head
    upstream relay {
        server 127.0.0.1:8080;
    }

    trp_reverse_key auth;
    trp_reverse_ssl_trusted_certificate localhost.crt;

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'auth'),
    trp_keys($reverse, 'auth'), '');

serve($reverse, port(8091), 'hello', data => "a1\n");
serve($reverse, port(8092), 'hello', data => "a2\n");
serve($reverse, port(8093), 'hello', data => "b1\n");
serve($reverse, port(8094), 'hello', data => "c1\n");

$relay->run();
$reverse->run();
$entry->run()->plan(18 + 4);

# all tunnels are there before the load is looked at

for my $test (@reverses) {
    my $name = $test->[0];
    my $group = substr $name, 0, 1;

    ok(wait_log($relay, qr/ reverse "$name" \(auth\) has a tunnel in group /
        . qr/"$group"/, count => 4), "names: $name");
}

# groups

my @b = map { user(8082) } 1 .. 4;
is(answers(@b), 'b1 b1 b1 b1', 'only the same group');

# the least busy one of a group

my @a = map { user(8081) } 1 .. 6;
is(join(' ', sort map { $_->{answer} } @a), 'a1 a1 a1 a2 a2 a2', 'load');

# one is free again: the next ones go there

my @free = grep { $_->{answer} eq 'a2' } @a;
close $_->{socket} for @free;

ok(wait_log($relay, qr/^a near-a ok 200$/, count => 3, file => 'access.log'),
    'streams have ended');

my @more = map { user(8081) } 1 .. 3;
is(answers(@more), 'a2 a2 a2', 'the least busy one');

# one that refuses is passed over

is(answers(map { user(8083) } 1 .. 8), join(' ', ('c1') x 8), 'users');
ok(wait_log($relay, qr/\[info\].* reverse "c2" .* refused "127\.0\.0\.1:22": not /
    . qr/allowed, another one may not/), 'one has refused');
is(count_log($relay, qr/^c near-c (?!ok 200)/, file => 'access.log'), 0,
    'no line for that');

# all refuse

is(end_of(connect_to(port(8084))), 'reset', 'all refuse');
ok(wait_log($entry, qr/^d near-d not allowed 502$/, file => 'access.log'),
    'status');
is(count_log($relay, qr/reverse "d[12]" .* refused/), 2, 'each was asked');
ok(wait_log($relay, qr/^d near-d not allowed 403$/, file => 'access.log'),
    'one line');


# a user whose connection stays open

sub user {
    my ($port) = @_;

    my $s = connect_to(port($port));
    chomp(my $answer = <$s>);

    return { socket => $s, answer => $answer };
}


sub answers {
    return join ' ', map { $_->{answer} } @_;
}


sub reverses {
    return join '', map { my ($name, $port, $allow) = @$_;
        my $group = substr $name, 0, 1; <<"EOC" } @reverses;
    server {
        trp_reverse relay;
        trp_reverse_group $group;
        trp_reverse_name $name;
        trp_reverse_allow $allow;
        proxy_pass 127.0.0.1:$port;
    }

EOC
}
