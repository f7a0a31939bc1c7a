#!/usr/bin/perl

# Tests for worker processes that are killed: never a clean end for a
# connection that was there, and new ones work.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

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
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:%%PORT_8093%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

reverse_conf($reverse, 8433);

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo', record => 'idle.log');
serve($reverse, port(8091), 'flood', record => 'download.log');
serve($reverse, port(8092), 'later', until => 'go', record => 'upload.log');
serve($reverse, port(8093), 'echo');

my %start = (
    idle => \&start_idle,
    download => \&start_download,
    upload => \&start_upload,
);

my @roles = ([ entry => $entry ], [ relay => $relay ], [ reverse => $reverse ]);

$_->[1]->todo_alerts() for @roles;

$relay->run();
$reverse->run();
$entry->run()->plan(3 * 3 * 3 + 3 + 2 * 2);

my $count;

for (@roles) {
    my ($name, $t) = @$_;

    $count++;

    for my $kind (qw/ idle download upload /) {
        unlink $reverse->testdir() . '/go';

        my $s = $start{$kind}->();
        kill_worker($t);
        $reverse->write_file('go', '');

        is(end_of($s), 'reset', "$name killed, $kind, user");
        is(recorded("$kind.log"), 'reset', "$name killed, $kind, destination");

        my $result = transfer(connect_to(port(8083)), 10_000);
        is($result->{end}, 'eof', "$name is back");
    }
}

# the killed ones are in the logs, nothing else is

is(alerts($_->[1]), '', "alerts of $_->[0]") for @roles;


sub start_idle {
    my $s = connect_to(port(8080));

    print $s 'SEE';
    read($s, my $data, 3);
    return $s;
}


sub start_download {
    my $s = connect_to(port(8081));

    read($s, my $data, 1_000_000);
    return $s;
}


# the destination reads nothing for now, so all is full

sub start_upload {
    my $s = connect_to(port(8082));

    fill($s);
    return $s;
}


sub kill_worker {
    my ($t) = @_;
    my ($old) = worker_pids($t);

    kill 'KILL', $old;

    wait_for(sub {
        my ($new) = worker_pids($t);
        return $new && $new != $old;
    });
}


# the end that the destination has seen

sub recorded {
    my ($file) = @_;

    wait_log($reverse, qr/./, file => $file, count => $count);
    my @lines = served($reverse, $file);
    return @lines == $count ? (split ' ', $lines[-1])[-1] : 'lines: ' . @lines;
}


sub alerts {
    my ($t) = @_;

    return join '', grep { /\[alert\]/ && !/ exited on signal 9$/ }
        map { "$_\n" } split /\n/, $t->read_file('error.log');
}
