#!/usr/bin/perl

# Tests for reloads while SOCKS5 clients come and go: nobody notices, whether
# he transfers data, waits for a reply, or is in the middle of the handshake.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

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
        trp_socks5_user_file users;
        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8443);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));
$entry->write_file('users', "bob:{PLAIN}secret\n");

for my $t ($relay, $reverse) {
    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
        =~ s/daemon off;/daemon off; worker_processes 2;/r
        =~ s/events \{/events { worker_connections 4096;/r);
}

serve($relay, port(8090), 'echo');

$relay->run();
$entry->run();
$reverse->run()->plan(3 * 14 + 4);

my @user = (user => 'bob', password => 'secret');
my $to = '127.0.0.1:' . port(8090);

wait_for(sub { worker_pids($_) == 2 }) for $relay, $entry, $reverse;

for my $t ($entry, $relay, $reverse) {
    my $name = $t == $relay ? 'relay' : $t == $entry ? 'entry' : 'reverse';
    my @long;

    for my $n (1 .. 3) {
        push @long, map { client() } 1 .. 5;
        is(grep({ $_->echo("hello $n") eq "hello $n" } @long), @long,
            "$name, reload $n: clients");

        my @waiting = map { client(stop => $_) }
            map { ($_) x 3 } qw/ connect greeting auth /;
        push @waiting, map { half_request() } 1 .. 3;

        my %old = map { $_ => 1 } worker_pids($t);
        $t->reload();

        # new ones come all the time until the workers have changed, and
        # somewhat longer

        my ($tries, $good, $more) = (0, 0, 20);

        wait_for(sub {
            $tries++;
            $good += finishes(client(), 10_000);
            my @pids = worker_pids($t);
            return @pids == 2 && !grep({ $old{$_} } @pids) && !$more--;
        });

        is($good, $tries, 'new ones work');

        $good = 0;

        for my $c (@waiting) {
            complete($c);
            $good += finishes($c, 1_000);
        }

        is($good, @waiting, 'and those who were in the handshake');
        is(grep({ $_->echo("reload $n") eq "reload $n" } @long), @long,
            'and all others');
    }

    my $good = 0;
    $good += finishes($_, 300_000) for @long;
    is($good, @long, "$name: long ones finish");

    ok(wait_for(sub { worker_pids($t, qr/worker process/) == 2 }),
        'old workers go away');
    @long = ();
}


sub client {
    my (%opts) = @_;
    my $c = socks(port(8080), $to, @user, %opts);

    die 'no reply: ' . ($c->end() || $c->rep()) . "\n"
        if !$opts{stop} && $c->rep() || $c->end();
    return $c;
}


# what it has left to say

sub complete {
    my ($c) = @_;
    my $stop = delete $c->{stop};

    if ($stop eq 'connect') {
        $c->write(socks_greeting(2));
        $c->read(2);
    }

    if ($stop ne 'auth') {
        $c->write(socks_password(qw/ bob secret /));
        $c->read(2);
    }

    $c->write(substr socks_request($to), $c->{half} || 0);
    $c->reply();
}


sub half_request {
    my $c = client(stop => 'auth');

    $c->write(substr socks_request($to), 0, $c->{half} = 5);
    return $c;
}


sub finishes {
    my ($c, $bytes) = @_;
    my $result = transfer($c->socket(), $bytes);

    return $c->rep() == 0 && $result->{end} eq 'eof'
        && $result->{received} == $bytes
        && $result->{received_sha} eq $result->{sent_sha}
        && $result->{tail} =~ /^\d+ [0-9a-f]{64}\n\z/ ? 1 : 0;
}
