#!/usr/bin/perl

# Tests for an upgrade of the relay's binary under load, with 1 and with 4
# workers, and for the way back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Socket qw/ SOL_SOCKET SO_RCVTIMEO /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Load;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# No "daemon off" in this one: nginx ignores USR2 as long as the process that
# has started it is there, and WINCH if it is no daemon.  The new binary gets
# no environment but this: sanitizers are preloaded.

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

worker_processes 1;

env LD_PRELOAD;
env ASAN_OPTIONS;
env UBSAN_OPTIONS;

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
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
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
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

END { stop($relay) if $relay; }

my $load = Test::Nginx::TRP::Load->new($relay)->serve(port(8081));

$entry->run();
$reverse->run()->plan(2 * 20 + 1 + 4);

my @clients = ([ short => 3 ], [ up => 1 ], [ down => 1 ]);

for my $workers (1, 4) {
    my $conf = $relay->read_file('nginx.conf');
    $conf =~ s/(?<=worker_processes )\d+/$workers/;
    $relay->write_file('nginx.conf', $conf);

    my $old = start($relay, $workers);

    # the new binary

    $load->start(port(8080), @$_) for @clients;
    ok(goes_on($load), "$workers: load");

    my $new = upgrade($relay, $old, $workers);
    ok($new, 'a new master, with workers');
    ok(goes_on($load), 'both serve');

    # more users than tunnels: some are where no reverse is

    is(answered(crowd(port(8080))), 100, 'users in between');

    my @users = crowd(port(8080));

    kill 'WINCH', $old;
    ok(wait_for(sub { !worker_pids($relay, undef, $old) }),
        'old workers stop accepting');
    is(answered(@users), 100, 'users at that moment');
    ok(serves($relay, $new), 'tunnels are in the new workers');
    ok(goes_on($load), 'the new one serves');

    kill 'QUIT', $old;
    finishes($load, 'nothing fails');
    ok(wait_for(sub { !-e $relay->testdir() . '/nginx.pid.oldbin' }),
        'the old master exits');

    # the way back

    $load->start(port(8080), @$_) for @clients;
    goes_on($load);

    my $bad = upgrade($relay, $new, $workers);
    ok($bad, 'another upgrade');
    kill 'WINCH', $new;
    wait_for(sub { !worker_pids($relay, undef, $new) });
    ok(serves($relay, $bad), 'tunnels have moved');
    ok(goes_on($load), 'serves, too');

    kill 'HUP', $new;
    ok(wait_for(sub { worker_pids($relay, undef, $new) == $workers }),
        'back: new workers of the old master');
    ok(goes_on($load), 'both serve');
    is(answered(crowd(port(8080))), 100, 'users in between');

    @users = crowd(port(8080));

    kill 'QUIT', $bad;
    is(answered(@users), 100, 'users at that moment');
    ok(serves($relay, $new), 'tunnels are back');
    ok(goes_on($load), 'serves again');
    finishes($load, 'nothing fails on the way back');

    stop($relay);
}

is(count_log($relay, qr/\[(?:alert|emerg|crit)\]/), 0, 'no alerts');


sub start {
    my ($t, $workers) = @_;

    system($Test::Nginx::NGINX, '-p', $t->testdir() . '/', '-c', 'nginx.conf',
        '-e', 'error.log') == 0 or die "can't start the relay\n";

    return wait_for(sub {
        my $pid = master($t, '');
        return $pid && worker_pids($t, undef, $pid) == $workers && $pid;
    }) || die "the relay has not started\n";
}


# A master that has exited is seen by its file: nobody may have waited for the
# process.

sub stop {
    my ($t) = @_;
    my @left;

    for my $signal (qw/ QUIT TERM KILL /) {
        wait_for(sub {
            @left = grep { $_ } map { master($t, $_) } '', '.oldbin';
            kill $signal, @left;
            return !@left;
        }, 15);

        last if !@left;
    }
}


# Returns the new master; signals must not go to 0, which is everybody.

sub upgrade {
    my ($t, $old, $workers) = @_;

    kill 'USR2', $old;

    return wait_for(sub {
        my $pid = master($t, '');
        return $pid && $pid != $old
            && worker_pids($t, undef, $pid) == $workers && $pid;
    }) || die "no new master\n";
}


# the file is renamed by one master and written by another

sub master {
    my ($t, $suffix) = @_;

    open my $fh, '<', $t->testdir() . "/nginx.pid$suffix" or return 0;
    return (readline($fh) || '') =~ /^(\d+)\n/ ? $1 : 0;
}


# both agents have tunnels in the workers of this master

sub serves {
    my ($t, $master) = @_;

    my $pids = join '|', worker_pids($t, undef, $master);

    return wait_log($t, qr/\[info\] (?:$pids)#.* entry ".* has a tunnel/)
        && wait_log($t, qr/\[info\] (?:$pids)#.* reverse ".* has a tunnel/);
}


# load of some seconds

sub goes_on {
    my ($load) = @_;
    my $connections = $load->counts()->{connections} + 200;

    return wait_for(sub { $load->counts()->{connections} > $connections });
}


# Users who are there at the same time: the pools grow.  Their tunnels go to
# any of the workers that accept.

sub crowd {
    my ($port) = @_;
    my @users = map { connect_to($port) } 1 .. 100;

    syswrite $_, "talk\nhello\n" for @users;
    return @users;
}


sub answered {
    my $count = 0;

    for my $s (@_) {
        $s->blocking(1);
        setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'l! l!', 30, 0;
        sysread $s, my $data, 100;
        $count++ if defined $data && $data eq "hello\n";
        close $s;
    }

    return $count;
}


sub finishes {
    my ($load, $name) = @_;
    my $result = $load->stop();

    is($result->{failures}, 0, $name) or diag($result->{texts});
    note("$result->{connections} connections");
}
