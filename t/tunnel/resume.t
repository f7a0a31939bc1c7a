#!/usr/bin/perl

# Tests for the resumption of TLS sessions by tunnels.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    trp_authorized_keys authorized_keys;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        trp_relay;
    }

    server {
        listen 127.0.0.1:8444 ssl;
        ssl_protocols TLSv1.2;
        ssl_session_cache shared:tls12:1m;
        trp_relay;
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

    upstream resumes {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_name e13;
        trp_entry_key entry;
        trp_entry_pool idle=5;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream resumes12 {
        server 127.0.0.1:8444;
        trp_entry;
        trp_entry_name e12;
        trp_entry_key entry;
        trp_entry_pool idle=5;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream off {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_name eoff;
        trp_entry_key entry;
        trp_entry_pool idle=5;
        trp_entry_ssl_session_reuse off;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8083%% bind=127.0.0.1;
        proxy_pass resumes;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8083%% bind=127.0.0.1;
        proxy_pass resumes12;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8083%% bind=127.0.0.1;
        proxy_pass off;
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

    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_pool idle=5;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    server {
        trp_reverse relay;
        trp_reverse_name r13;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_name roff;
        trp_reverse_ssl_session_reuse off;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8083), 'hello', data => 'hello');

$relay->run();
$entry->run();
$reverse->run()->plan(17 + 4);

for my $name (qw/ e13 e12 eoff r13 roff /) {
    ok(wait_log($relay, qr/"$name" .* has a tunnel/, count => 5),
        "$name has its pool");

    my $resumed = count_log($relay, qr/"$name" .*, TLS session resumed/);

    # the first one has nothing to resume; to a worker that has been named
    # by MOVED, it has

    $name =~ /off/ ? is($resumed, 0, 'none is resumed')
        : cmp_ok($resumed, '>=', 4, 'the others are resumed');
}

ok(wait_log($entry, qr/tunnel is ready.*, TLS session resumed/, count => 8),
    'the agents see it as well');

# tunnels that were resumed carry streams

is(stream('127.0.0.1:' . port(8080))->read(), 'hello', 'a stream');

# tickets of a relay that has been reloaded are worth nothing

my %before = map { $_ => tunnels($relay, $_) } qw/ r13 roff /;
reload_and_wait($relay);

for my $name (sort keys %before) {
    ok(wait_for(sub { tunnels($relay, $name) >= $before{$name} + 5 }),
        "$name dials again");
}

is(stream('127.0.0.1:' . port(8080))->read(), 'hello', 'after a reload');
is(count_log($relay, qr/"roff" .*, TLS session resumed/), 0, 'still none');
is(count_log($relay, qr/\[(?:warn|error|crit)\]/), 0, 'no errors');


sub tunnels {
    my ($relay, $name) = @_;
    return count_log($relay, qr/"$name" .* has a tunnel/);
}
