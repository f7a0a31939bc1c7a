#!/usr/bin/perl

# The relay's access log in JSON, in the format of examples/log/json.conf: who
# has served whom, by name and by key, also after a refusal, and without a key's
# comment; and the same at a hub and at the agents.

use strict;
use warnings;

use Test::More;

use JSON::PP qw/ decode_json /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

my $format = do {
    open my $fh, '<', "$FindBin::Bin/../../examples/log/json.conf"
        or die "no example: $!\n";
    local $/;
    <$fh>;
};

# the same file in all of them; the agents have no keys to tell

$_->write_file('json.conf', $format) for $relay, $entry, $reverse;

my $log = <<'EOC';
    include json.conf;
    access_log %%TESTDIR%%/trp.json trp_json;
EOC

$relay->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$log
    proxy_half_close on;
    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
        trp_relay_open_timeout 500ms;
    }

    upstream hub {
        trp_entry local;
        trp_entry_name hub;
        trp_entry_group work;
    }

    server {
        trp_route %%PORT_8085%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass hub;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$log
    proxy_half_close on;
    trp_entry_key entry;
    trp_entry_name near.office;
    trp_entry_ssl_trusted_certificate localhost.crt;

    upstream work {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group work;
    }

    upstream nobody {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_group nobody;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:unix:/a"b\\c bind=127.0.0.1;
        proxy_pass work;
    }

    server {
        trp_route %%PORT_8084%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass nobody;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$log
    proxy_half_close on;
    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_name far:1;
        trp_reverse_group work;
        trp_reverse_allow 127.0.0.1;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass \$trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

# one comment is hostile, the other key has none

my ($line) = trp_keys($entry, 'entry');
$line =~ s/ entry$/ Bob "the \\ key" <i>/ or die "which comment?\n";
my ($bare) = trp_keys($reverse, 'reverse');
$bare =~ s/ reverse$// or die "which comment?\n";

$relay->write_file('authorized_keys', "$line\n$bare\n");
$relay->write_file('bare.pub', "$bare\n");

my $dir = $relay->testdir();
my ($fingerprint) = `ssh-keygen -l -f $dir/bare.pub` =~ /(SHA256:\S+)/;

serve($relay, port(8090), 'hello', data => "hello\n");

$relay->run();
$reverse->run();
$entry->run()->plan(32 + 4);

ok(wait_log($relay, qr/reverse "far:1" .*has a tunnel in group "work"/),
    'reverse');

my $l;

# served

is(greeting(port(8081)), "hello\n", 'user');
$l = line($relay, 1);

is($l->{status}, 'ok', 'status');
is($l->{entry}, 'near.office', 'entry');
is($l->{entry_key}, 'Bob "the \\ key" <i>', 'its key');
is($l->{reverse}, 'far:1', 'reverse');
is($l->{reverse_key}, $fingerprint, 'its key has no comment');
is($l->{group}, 'work', 'group');
is($l->{destination}, '127.0.0.1:' . port(8090), 'destination');
is($l->{host}, '127.0.0.1', 'host');
is($l->{port}, port(8090), 'port');
is($l->{user}, '127.0.0.1', 'user');
is($l->{sent}, 6, 'bytes');
is($l->{received}, 0, 'bytes');
like($l->{stream}, qr/^[0-9a-f]{16}$/, 'stream');
like($l->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, 'time');
cmp_ok($l->{seconds}, '<', 60, 'seconds');

# the agents

is(who(line($entry, 1)), 'near.office - - -', 'log of the entry');
is(who(line($reverse, 1)), 'near.office - far:1 -', 'log of the reverse');
is(line($_, 1)->{stream}, $l->{stream}, 'the same stream')
    for $entry, $reverse;

# refused, hostile, without a reverse

is(end_of(connect_to(port(8082))), 'reset', 'refused');
$l = line($relay, 2);
is("$l->{status} $l->{reverse}", 'refused far:1', 'who has refused it');

is(end_of(connect_to(port(8083))), 'reset', 'no such path');
$l = line($relay, 3);
is($l->{destination}, 'unix:/a"b\\c', 'its path');
is($l->{port}, 0, 'its port');

is(end_of(connect_to(port(8084))), 'reset', 'nobody');
$l = line($relay, 4);
is($l->{status}, 'no agent', 'status');
is(who($l), "near.office Bob \"the \\ key\" <i> - -", 'no reverse');

# a hub, where the user's own server writes the line

is(greeting(port(8085)), "hello\n", 'hub');
$l = line($relay, 5);
is($l->{entry}, 'hub', 'entry');
is(who($l), "hub - far:1 $fingerprint", 'who has served it');


sub greeting {
    my ($port) = @_;
    return scalar readline connect_to($port);
}


sub who {
    my ($line) = @_;

    return join ' ', map { $line->{$_} eq '' ? '-' : $line->{$_} }
        qw/ entry entry_key reverse reverse_key /;
}


sub line {
    my ($t, $n) = @_;

    wait_log($t, qr/./, file => 'trp.json', count => $n) or return {};

    my @lines = split /\n/, $t->read_file('trp.json');
    return decode_json($lines[$n - 1]);
}
