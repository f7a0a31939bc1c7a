#!/usr/bin/perl

# Tests for workers that are killed: they are replaced, new connections work,
# and those of other workers go on.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

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

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1 reuseport;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=10 max=10;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8081), 'echo');

local $SIG{PIPE} = 'IGNORE';

$_->todo_alerts() for $relay, $entry, $reverse;

$relay->run();
$entry->run();
$reverse->run()->plan(24 + 4);

wait_for(sub { worker_pids($relay) == 4 });
wait_for(sub { worker_pids($_) == 2 }) for $entry, $reverse;
is(answers(), 1, 'works');

# a reverse has at most ten tunnels in each worker, an entry's users are
# spread by the kernel: twenty streams are in both workers

for my $t ($reverse, $entry) {
    my $name = $t == $entry ? 'entry' : 'reverse';
    my @users = map { talking() } 1 .. 16;
    my ($victim) = worker_pids($t);

    kill 'KILL', $victim;
    ok(replaced($t, $victim, 2), "$name: worker is replaced");

    my ($alive, $reset) = (0, 0);

    for my $s (@users) {
        # the first call that fails tells, others see an end

        my $all = '';
        my $ok = syswrite($s, 'still there?') && shutdown($s, 1);

        while ($ok && ($ok = sysread $s, $all, 4096, length $all)) {
        }

        $all =~ /^still there\?17 [0-9a-f]{64}\n\z/ ? $alive++
            : !defined $ok && ($!{ECONNRESET} || $!{EPIPE}) ? $reset++
            : diag("got \"$all\", $!");
    }

    is($alive + $reset, 16, 'all users are served, or reset');
    ok($alive, 'some streams have gone on');
    ok($reset, 'some were reset');
    is(join(' ', map { answers() } 1 .. 10), join(' ', (1) x 10),
        'new connections');
}

# all streams of a group are in one worker of the relay

my %log = map { $_ => 1 } map { /info\] (\d+)#.* has a tunnel / ? $1 : () }
    split /^/, $relay->read_file('error.log');
my @has = grep { $log{$_} } worker_pids($relay);
my ($hasnot) = grep { !$log{$_} } worker_pids($relay);
is(@has, 1, 'one worker has the tunnels');

my @users = map { talking() } 1 .. 5;

kill 'KILL', $hasnot;
ok(replaced($relay, $hasnot, 4), 'relay: idle worker is replaced');

for my $s (@users) {
    syswrite $s, 'more';
    is(sysread($s, my $data, 100), 4, 'streams go on');
}

kill 'KILL', $has[0];
ok(replaced($relay, $has[0], 4), 'relay: busy worker is replaced');

is(join(' ', map { end_of($_) } @users), join(' ', ('reset') x 5),
    'its streams are reset');
is(join(' ', map { answers() } 1 .. 10), join(' ', (1) x 10),
    'new connections');

# alerts are expected here, but no others

for my $t ($relay, $entry, $reverse) {
    is(count_log($t, qr/\[alert\](?!.* exited on signal 9)/), 0,
        'no other alerts');
}


# a stream that has carried something

sub talking {
    my $s = connect_to(port(8080), timeout => 30);
    syswrite $s, 'hello';
    sysread $s, my $data, 5;
    die "no answer\n" if $data ne 'hello';
    return $s;
}


sub answers {
    my $result = transfer(connect_to(port(8080), timeout => 30), 20_000);
    return $result->{end} eq 'eof' && $result->{received} == 20_000
        && $result->{received_sha} eq $result->{sent_sha} ? 1
        : $result->{end};
}


sub replaced {
    my ($t, $victim, $count) = @_;

    return wait_for(sub {
        my @pids = worker_pids($t);
        return @pids == $count && !grep { $_ == $victim } @pids;
    });
}
