#!/usr/bin/perl

# Tests for users of the relay's own nginx who come while no reverse is there:
# they wait, or with trp_entry_unavailable "reset" they are reset at once.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $reverse = Test::Nginx->new();

hub_conf($hub,
    relay => 'trp_relay_open_timeout 4s;',
    stream => <<'EOC');
    upstream resets {
        trp_entry local;
        trp_entry_unavailable reset;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass resets;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        proxy_pass resets;
    }

    upstream other {
        trp_entry local;
        trp_entry_group other;
        trp_entry_unavailable reset;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass other;
    }
EOC
reverse_conf($reverse, 8443);
conf_of($reverse, qr/(?<=daemon off;)/, "\nworker_shutdown_timeout 100ms;");

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$hub->run()->plan(19 + 2);

# whoever comes first is told when it is certain

my $patient = connect_to(port(8080));

is(end_of(connect_to(port(8081)), 10), 'reset', 'no reverse');
is(end_of(connect_to(port(8081)), 1), 'reset', 'at once');
is(socks(port(8082), '127.0.0.1:' . port(8090))->rep(), 1, 'SOCKS5');
ok(wait_log($hub, qr/^no agent 502$/, file => 'access.log', count => 3),
    'access log');

is(end_of($patient, 10), 'reset', 'others wait for some time');
ok(wait_log($hub, qr/was refused: no agent.*, no reverse was there/), 'log');

# who waits is served

$patient = connect_to(port(8080));
$reverse->run();

is(join(' ', @{transfer($patient, 1000)}{qw/ received end /}), '1000 eof',
    'who has waited is served');
ok(wait_for(sub { visit(port(8081)) }), 'served');

# another group has none

is(end_of(connect_to(port(8083)), 10), 'reset', 'another group');
ok(wait_log($hub, qr/no agent/, file => 'access.log', count => 5), 'log');

# a reload of either is nothing that somebody should notice

my $before = count_log($hub, qr/no agent/, file => 'access.log');

reload_and_wait($reverse);
is(grep({ visit(port(8081)) } 1 .. 20), 20, 'reload of the reverse');

reload_and_wait($hub);
is(grep({ visit(port(8081)) } 1 .. 20), 20, 'reload of the hub');
is(count_log($hub, qr/no agent/, file => 'access.log'), $before,
    'nobody was refused');

# the reverse goes with a user

my $busy = connect_to(port(8081));
syswrite $busy, 'x';
sysread $busy, my ($x), 1;
$reverse->stop();

is(end_of($busy), 'reset', 'busy');
ok(wait_for(sub { end_of(connect_to(port(8081)), 1) eq 'reset' }), 'gone');

$reverse->run();
ok(wait_for(sub { visit(port(8081)) }), 'it is back');

# tunnels that are all busy: users wait for one, and are served in turn

$reverse->stop();
conf_of($reverse, qr/(?=trp_reverse_key)/, "trp_reverse_pool idle=1 max=1;\n");
$reverse->run();

ok(wait_for(sub { visit(port(8080)) }), 'one tunnel');

my @users = map { connect_to(port(8080)) } 1 .. 3;
syswrite $_, 'x' for @users;
my @got = map { my $s = $_;
    my $n = sysread $s, my ($data), 1; close $s; $n } @users;
is("@got", '1 1 1', 'in turn');

$patient = connect_to(port(8080));
syswrite $patient, 'x';
sysread $patient, $x, 1;
is(end_of(connect_to(port(8080)), 10), 'reset', 'nor was one free');
close $patient;


sub conf_of {
    my ($t, $place, $text) = @_;

    $t->write_file('nginx.conf',
        $t->read_file('nginx.conf') =~ s/$place/$text/r);
}
