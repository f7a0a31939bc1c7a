#!/usr/bin/perl

# Tests for heartbeats: tunnels whose peer is silent are not handed to users.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();
my $second = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
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
        trp_relay_heartbeat 200ms;
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

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_heartbeat 200ms;
        trp_entry_open_timeout 1h;
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

events {
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
        trp_reverse_name one;
        trp_reverse_heartbeat 200ms;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        return one;
    }
}

EOC

$second->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
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
        trp_reverse_name two;
        trp_reverse_heartbeat 200ms;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        return two;
    }
}

EOC

trp_cert($relay, $entry, $reverse, $second);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), trp_keys($second, 'reverse'));

$relay->run();
$entry->run();
$reverse->run();
$second->run()->plan(15 + 6);

ok(wait_log($relay, qr/ has a tunnel /, count => 12), 'tunnels');
like(asked(10), qr/one.*two|two.*one/, 'both serve');

# one of them hangs

my ($worker) = worker_pids($reverse);
my $lost = silent($relay);

kill 'STOP', $worker;
ok(wait_for(sub { !alive($relay, 'one') }), 'the relay notices');
cmp_ok(silent($relay), '>=', $lost + 4, 'by its heartbeat');
is(asked(20), 'two' x 20, 'the other one serves');

my $tunnels = tunnels($relay, 'one');

kill 'CONT', $worker;
ok(wait_log($relay, qr/reverse "one" .* has a tunnel/,
    count => $tunnels + 4), 'the first one comes back');
like(asked(20), qr/one.*two|two.*one/, 'both serve again');

# the relay hangs

my $entries = count_log($relay, qr/entry .* has a tunnel/);
($worker) = worker_pids($relay);
$lost = silent($entry);
my $lost_reverse = silent($second);

kill 'STOP', $worker;
ok(wait_log($entry, qr/tunnel's peer is silent for \d+ ms/,
    count => $lost + 4), 'the entry notices');
ok(wait_log($second, qr/tunnel's peer is silent for \d+ ms/,
    count => $lost_reverse + 4), 'a reverse notices');

# a user who comes now is served later

my $s = connect_to(port(8080), timeout => 30);

kill 'CONT', $worker;
ok(wait_log($relay, qr/entry .* has a tunnel/,
    count => $entries + 4), 'all is well');

sysread $s, my $name, 100;
like($name, qr/^(?:one|two)$/, 'who has waited is served');
like(asked(20), qr/^(?:one|two){20}\z/, 'and others');

# a heartbeat that is answered keeps a tunnel

ok(wait_for(sub {
    my @pids = map { worker_pids($_) } $relay, $entry, $reverse, $second;
    return @pids == 4;
}), 'no worker was lost');

is(count_log($_, qr/\[(?:warn|crit|emerg)\]/), 0, 'no errors')
    for $relay, $entry;


sub tunnels {
    my ($relay, $name) = @_;
    return count_log($relay, qr/reverse "$name" .* has a tunnel/);
}


# its tunnels at the relay, by the numbers of their connections

sub alive {
    my ($relay, $name) = @_;
    my %alive;

    for my $line (split /^/, $relay->read_file('error.log')) {
        my ($number) = $line =~ / \*(\d+) / or next;

        $alive{$number} = 1 if $line =~ /reverse "$name" .* has a tunnel/;
        delete $alive{$number} if $line =~ /is silent|closed tunnel/;
    }

    return scalar keys %alive;
}


sub silent {
    return count_log($_[0], qr/tunnel's peer is silent/);
}


# who answers, one after another

sub asked {
    my ($count) = @_;
    my $names = '';

    for (1 .. $count) {
        my $s = connect_to(port(8080), timeout => 30);
        sysread $s, my $name, 100;
        $names .= $name;
    }

    return $names;
}
