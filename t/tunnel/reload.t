#!/usr/bin/perl

# Tests for reloads of each role while connections run: these finish, new
# ones work, and the old workers go away then.

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
worker_processes 2;

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

serve($relay, port(8081), 'echo');

$relay->run();
$entry->run();
$reverse->run()->plan(3 * 12 + 4);

wait_for(sub { worker_pids($_) == 2 }) for $relay, $entry, $reverse;

for my $t ($relay, $entry, $reverse) {
    my $name = $t == $relay ? 'relay' : $t == $entry ? 'entry' : 'reverse';
    my @long;

    for my $n (1 .. 5) {
        push @long, map { talking() } 1 .. 3;
        my @waiting = map { connect_to(port(8080), timeout => 30) } 1 .. 5;

        my %old = map { $_ => 1 } worker_pids($t);
        $t->reload();

        # new ones come all the time until the workers have changed, and
        # somewhat longer

        my ($tries, $good, $more) = (0, 0, 20);

        wait_for(sub {
            $tries++;
            $good++ if answers(connect_to(port(8080), timeout => 30));
            my @pids = worker_pids($t);
            return @pids == 2 && !grep({ $old{$_} } @pids) && !$more--;
        });

        $good += answers($_) for @waiting;
        is($good, $tries + @waiting, "$name, reload $n: new ones work");

        $good = 0;
        $good += echoes($_, "reload $n") for @long;
        is($good, @long, 'and all others go on');
    }

    # more than any buffer on the way holds, and a whole answer

    my $good = 0;
    $good += finishes($_) for @long;
    is($good, 15, "$name: long ones finish");

    @long = ();

    # "is shutting down" is in their title

    ok(wait_for(sub { worker_pids($t, qr/worker process/) == 2 }),
        'old workers go away');
}


sub talking {
    my $s = connect_to(port(8080), timeout => 30);
    die "no answer\n" if !echoes($s, 'hello');
    return $s;
}


sub echoes {
    my ($s, $text) = @_;
    my $all = '';

    $s->blocking(1);
    syswrite $s, $text;
    1 while length $all < length $text
        && sysread $s, $all, 100, length $all;

    return $all eq $text ? 1 : 0;
}


sub answers {
    my ($s) = @_;
    my $result = transfer($s, 10_000);
    return $result->{end} eq 'eof'
        && $result->{tail} eq "10000 $result->{sent_sha}\n" ? 1 : 0;
}


# the digest at the end is of all that was ever sent here

sub finishes {
    my ($s) = @_;
    my $result = transfer($s, 1_000_000);
    return $result->{end} eq 'eof' && $result->{received} == 1_000_000
        && $result->{received_sha} eq $result->{sent_sha}
        && $result->{tail} =~ /^10\d\d\d\d\d [0-9a-f]{64}\n\z/ ? 1 : 0;
}
