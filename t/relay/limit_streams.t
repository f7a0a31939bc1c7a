#!/usr/bin/perl

# Limits of the connections at once come back when connections end, in
# whichever way.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new()->todo_alerts();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_status";
    access_log %%TESTDIR%%/access.log trp;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 1s;
        trp_relay_limit_key streams=2;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream two {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key two;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream one {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key one;
        trp_entry_group one;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        proxy_pass two;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass one;
    }
}

EOC

# "one" is the same key as an entry's

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_ssl_trusted_certificate localhost.crt;

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group one;
        trp_reverse_key one;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n",
    trp_keys($entry, qw/ one two /), trp_keys($reverse, 'reverse'), '');
$reverse->write_file('one', $entry->read_file('one'));
chmod 0600, $reverse->testdir() . '/one';

serve($relay, port(8090), 'hello');
serve($relay, port(8091), 'reset', after => 1);

$relay->run();
$reverse->run();
$entry->run()->plan(10 + 4);

ok(wait_log($relay, qr/reverse ".*" .* has a tunnel/, count => 8), 'tunnels');

# two, and no more

my @users = map { user(8080) } 1 .. 2;
is(end_of(connect_to(port(8080))), 'reset', 'the third');
ok(wait_log($relay, qr/^over the limit$/, file => 'access.log'), 'log');

# clean ends, resets of users and destinations

close $_ for @users;
ok(wait_log($relay, qr/^ok$/, file => 'access.log', count => 2), 'closed');

is(join('', map { round($relay) } 1 .. 10), 'yes' x 10,
    'ten times more');

# the reverse dies with two of them

@users = map { user(8080) } 1 .. 2;
my $done = count_log($relay, qr/./, file => 'access.log');
my $grown = count_log($relay, qr/reverse ".*" .* has a tunnel/) - 8;
kill 'KILL', worker_pids($reverse);
is(join(' ', map { end_of($_) } @users), 'reset reset', 'reverse dies');
ok(wait_log($relay, qr/./, file => 'access.log', count => $done + 2), 'logged');
wait_log($relay, qr/reverse ".*" .* has a tunnel/, count => 8 + $grown + 8)
    or die "the reverse does not come back\n";
@users = map { user(8080) } 1 .. 2;
is((grep { $_ } @users), 2, 'another one serves as many');
@users = ();

# the same key on both sides

@users = map { user(8082) } 1 .. 2;
is((grep { $_ } @users), 2, 'one key, each connection counts once');
is(end_of(connect_to(port(8082))), 'reset', 'the third');


# one of each way to end; the next user comes when they are counted no more

sub round {
    my ($t) = @_;

    for my $how (qw/ close abort reset /) {
        my $done = count_log($t, qr/./, file => 'access.log');

        if ($how eq 'reset') {
            my $s = connect_to(port(8081));
            syswrite $s, '1';
            return "no: $how" if end_of($s) ne 'reset';

        } else {
            my $s = user(8080) or return "no: $how";
            $how eq 'close' ? close $s : abort($s);
        }

        wait_log($t, qr/./, file => 'access.log', count => $done + 1)
            or return "no: line for $how";
    }

    return 'yes';
}


# a connection that is served, or undef

sub user {
    my ($port) = @_;

    my $s = connect_to(port($port));
    return defined readline $s ? $s : undef;
}
