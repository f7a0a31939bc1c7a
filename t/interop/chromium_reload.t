#!/usr/bin/perl

# Tests for STUN/TURN: WebRTC in Chromium goes on while nginx is reloaded.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::WebRTC;

my $missing = browser_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /)->plan(24);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format turn '$protocol $trp_turn_username '
                    '$trp_turn_bytes_to_peers $trp_turn_bytes_from_peers';

    access_log %%TESTDIR%%/turn.log turn;

    server {
        listen 127.0.0.1:%%PORT_8980_UDP%% udp reuseport;
        listen 127.0.0.1:8981;
        listen 127.0.0.1:8982 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user user:password;
    }
}

EOC

trp_cert($t);
$t->run();

my $browser = browser($t, port(8990), accept => 'localhost.crt');

my %url = (
    udp => 'turn:127.0.0.1:' . port(8980),
    tcp => 'turn:127.0.0.1:' . port(8981) . '?transport=tcp',
    tls => 'turns:127.0.0.1:' . port(8982),
);

for my $transport (qw/ udp tcp tls /) {
    my $n = $browser->start(url => $url{$transport}, username => 'user',
        password => 'password', pause => 1);

    ok($browser->paused($n), "$transport, connected");

    my @old = worker_pids($t);
    ok(reloaded($t, $_), "$transport, $_ workers") for 4, 1, 2;

    $browser->go($n);
    my $result = $browser->result($n);

    is($result->{state}, 'complete', "$transport, goes on");
    is_deeply($result->{pairs}, [ ("relay $transport relay") x 2 ],
        "$transport, the same candidates");

    my $re = $transport eq 'udp' ? 'UDP' : 'TCP';
    ok(logged($t, $re, $transport eq 'tls' ? 4 : 2),
        "$transport, one allocation for each side")
        or diag($t->read_file('turn.log'));
    ok(wait_for(sub { !grep { kill 0, $_ } @old }),
        "$transport, old workers have ended");
}


# a reload with so many workers

sub reloaded {
    my ($t, $workers) = @_;
    my %old = map { $_ => 1 } worker_pids($t);

    $t->write_file('nginx.conf', $t->read_file('nginx.conf')
        =~ s/worker_processes \d+/worker_processes $workers/r);
    $t->reload();

    return wait_for(sub {
        my @pids = worker_pids($t);
        return @pids == $workers && !grep { $old{$_} } @pids;
    });
}


# so many allocations, each of which has relayed all bytes, both ways

sub logged {
    my ($t, $protocol, $count) = @_;

    return wait_for(sub {
        my @lines = $t->read_file('turn.log') =~ /^$protocol .*/mg;

        return @lines == $count && !grep {
            !/^$protocol user (\d+) (\d+)$/ || $1 < 466944 || $2 < 466944
        } @lines;
    });
}
