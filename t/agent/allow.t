#!/usr/bin/perl

# Tests for trp_reverse_allow.

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

# group, destination, 1 if it is allowed

my @tests = (
    [ 'default', '127.0.0.1:22', 1 ],
    [ 'default', '127.255.255.254:1', 1 ],
    [ 'default', '[::1]:22', 1 ],
    [ 'default', '[::ffff:127.0.0.1]:22', 1 ],
    [ 'default', '10.0.0.5:22', 0 ],
    [ 'default', '0.0.0.0:22', 1 ],
    [ 'default', '128.0.0.1:22', 0 ],
    [ 'default', '[::]:22', 1 ],
    [ 'default', '[::ffff:0.0.0.0]:22', 1 ],
    [ 'default', '0.0.0.1:22', 0 ],
    [ 'default', '[::2]:22', 0 ],
    [ 'default', '[::ffff:10.0.0.5]:22', 0 ],

    [ 'rules', '10.255.0.1:22', 1 ],
    [ 'rules', '[::ffff:10.0.0.5]:22', 1 ],
    [ 'rules', '10.0.0.1:23', 0 ],
    [ 'rules', '11.0.0.1:22', 0 ],
    [ 'rules', '192.0.2.1:8000', 1 ],
    [ 'rules', '192.0.2.1:8099', 1 ],
    [ 'rules', '192.0.2.1:8100', 0 ],
    [ 'rules', '192.0.2.1:7999', 0 ],
    [ 'rules', '192.0.2.7:1', 1 ],
    [ 'rules', '192.0.2.7:65535', 1 ],
    [ 'rules', '[2001:db8::9]:443', 1 ],
    [ 'rules', '[2001:db8::9]:444', 0 ],
    [ 'rules', '[2001:db9::9]:443', 0 ],
    [ 'rules', '198.51.100.1:53', 1 ],
    [ 'rules', '127.0.0.1:22', 0 ],

    # all of IPv4 but 127.0.0.0/8

    [ 'around', '10.0.0.5:22', 1 ],
    [ 'around', '127.0.0.1:22', 0 ],
    [ 'around', '0.0.0.0:22', 0 ],
    [ 'around', '[::ffff:0.0.0.0]:22', 0 ],

    [ 'all', '198.51.100.1:1', 1 ],
    [ 'all', '[2001:db8::9]:65535', 1 ],
    [ 'all', '127.0.0.1:22', 1 ],
);

relay_conf($relay, 8080);

$entry->write_file_expand('nginx.conf', <<'EOC' . servers() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_group $trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_group $trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    trp_reverse_key auth;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_group default;
        return "$trp_destination";
    }

    server {
        trp_reverse relay;
        trp_reverse_group rules;
        trp_reverse_allow 10.0.0.0/8:22 192.0.2.0/24:8000-8099 192.0.2.7;
        trp_reverse_allow [2001:db8::]/32:443 *:53;
        return "$trp_destination";
    }

    server {
        trp_reverse relay;
        trp_reverse_group around;
        trp_reverse_allow 0.0.0.0/2 64.0.0.0/3 96.0.0.0/4 112.0.0.0/5
                          120.0.0.0/6 124.0.0.0/7 126.0.0.0/8 128.0.0.0/1;
        return "$trp_destination";
    }

    server {
        trp_reverse relay;
        trp_reverse_group all;
        trp_reverse_allow all;
        return "$trp_destination";
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', trp_keys($entry, 'auth') . "\n");
$reverse->write_file('auth', $entry->read_file('auth'));
chmod 0600, $reverse->testdir() . '/auth';

$relay->run();
$reverse->run();
$entry->run()->plan(@tests + 5 + 4);

# where an answer comes from does not matter: the server itself gives it

for my $i (0 .. $#tests) {
    my ($group, $destination, $allowed) = @{$tests[$i]};

    my $s = connect_to(port(8100 + $i));

    if ($allowed) {
        is(<$s>, $destination, "$group: $destination");
    } else {
        is(end_of($s), 'reset', "$group: not $destination");
    }
}

my $bad = grep { !$_->[2] } @tests;
my $line = qr/\[error\].* destination is not allowed by "trp_reverse_allow"/;

ok(wait_log($entry, qr/ not allowed 502$/, count => $bad,
    file => 'access.log'), 'status at the entry');
ok(wait_log($reverse, qr/ not allowed 403$/, count => $bad,
    file => 'access.log'), 'status at the reverse');

is(count_log($reverse, $line), $bad, 'a line for each');
is(count_log($reverse, qr/$line.*client: 127\.0\.0\.1, server: relay relay/),
    $bad, 'which names the user');
is(count_log($reverse, qr/is not allowed.*"10\.0\.0\.5:22"/), 1, 'only one');


sub servers {
    my $text = '';

    for my $i (0 .. $#tests) {
        my ($group, $destination) = @{$tests[$i]};

        $text .= <<"EOC";
    upstream relay$i {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_group $group;
        trp_entry_pool idle=1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_${\(8100 + $i)}%%:$destination;
        proxy_pass relay$i;
    }

EOC
    }

    return $text;
}
