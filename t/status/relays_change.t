#!/usr/bin/perl

# Tests for rows of relays that come and go: a name that is not known, then is,
# then moves; a group that is made for its first user, and given up; routes
# that are added, and taken out again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::DNS;
use Test::Nginx::TRP::Rows;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl stream_map
    udp /);
my $agent = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        listen 127.0.0.2:%%PORT_8443%% ssl;

        ssl_certificate relay.crt;
        ssl_certificate_key relay.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

status_conf($agent, main => 'worker_processes 2;',
    stream => <<'EOC');
    error_log %%TESTDIR%%/error.log info;

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s;

    trp_entry_key entry;
    trp_entry_ssl_trusted_certificate ca.crt;

    upstream named {
        server relay.trp.test:%%PORT_8443%%;
        trp_entry;
        trp_entry_group named;
    }

    map $server_port $group {
        %%PORT_8082%% first;
    }

    upstream grouped {
        server 127.0.0.1:%%PORT_8443%%;
        trp_entry;
        trp_entry_group $group;
        trp_entry_groups inactive=1s;
        trp_entry_ssl_name relay.trp.test;
    }

    server {
        trp_route %%PORT_8081%%:1 bind=127.0.0.1;
        proxy_pass named;
    }

    server {
        trp_route %%PORT_8082%%:1 bind=127.0.0.1;
        proxy_pass grouped;
    }
EOC

trp_ca($relay, 'ca');
trp_issue($relay, 'ca', 'relay', names => 'DNS:relay.trp.test');
$agent->write_file('ca.crt', $relay->read_file('ca.crt'));
$relay->write_file('authorized_keys', trp_keys($agent, 'entry') . "\n");

dns($agent, port(8982, udp => 1), 'relay.trp.test' => 'trouble');

$relay->run();
$agent->run()->plan(14 + 2);

# no address

my ($row) = wait_rows(sub { @_ == 1 && $_[0]{error} });

is($row->{host}, 'relay.trp.test:' . port(8443), 'the name');
is("$row->{address} $row->{state}", ' down', 'has no address');
like($row->{error}, qr/^could not be resolved: /, 'and why');

# one, and another

dns_change($agent, 'relay.trp.test' => '127.0.0.1');

($row) = wait_rows(sub { @_ == 1 && $_[0]{tunnels} >= 8 });
is($row->{address}, '127.0.0.1:' . port(8443), 'an address');
is($row->{state}, 'up', 'up');

dns_change($agent, 'relay.trp.test' => '127.0.0.2');

($row) = wait_rows(sub { @_ == 1 && $_[0]{tunnels} >= 8
    && $_[0]{address} =~ /^127\.0\.0\.2:/ });
is($row->{state}, 'up', 'at another address, and only there');

# a group

my $s = connect_to(port(8082));
my @rows = wait_rows(sub { @_ == 2 && !grep { !$_->{tunnels} } @_ });

is(join(' ', sort map { $_->{group} } @rows), 'first named', 'another group');

close $s;
@rows = wait_rows(sub { @_ == 1 });
is($rows[0]{group}, 'named', 'given up');

# what is given up leaves nothing in the zone

my $used = zone()->{used};

for (1 .. 2) {
    $s = connect_to(port(8082));
    wait_rows(sub { @_ == 2 });
    close $s;
    wait_rows(sub { @_ == 1 });
}

is(zone()->{used}, $used, 'no more rows than before');

# routes that come with a reload, and go with another

my $since = status_json(http_get('/trp/status.json'))->{since};

$agent->write_file('nginx.conf', $agent->read_file('nginx.conf')
    =~ s/(?=    server \{\n        trp_route \d+:1 bind)/join '',
    map { "    server {\n        trp_route unix:$_.sock:1;\n"
    . "        proxy_pass named;\n    }\n\n" } map {
    $agent->testdir() . "\/$_" } 1 .. 20/er);

ok(reload_and_wait($agent), 'more routes');
ok(wait_for(sub {
    my $json = status_json(http_get('/trp/status.json'));
    return @{$json->{routes}} == 22;
}), 'have rows');

$agent->write_file('nginx.conf', $agent->read_file('nginx.conf')
    =~ s/server \{\n +trp_route unix:.*\n.*\n    \}//gr);

ok(reload_and_wait($agent), 'fewer routes');
ok(wait_for(sub {
    my $json = status_json(http_get('/trp/status.json'));
    return @{$json->{routes}} == 2;
}), 'have fewer rows');
is(status_json(http_get('/trp/status.json'))->{since}, $since,
    'in the same zone');


sub wait_rows {
    my ($code) = @_;
    my @rows;

    return wait_for(sub {
        @rows = @{status_json(http_get('/trp/status.json'))->{relays}};
        return $code->(@rows);
    }) ? @rows : ();
}


sub zone {
    return status_json(http_get('/trp/status.json'))->{zone};
}
