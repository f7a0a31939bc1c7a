#!/usr/bin/perl

# Tests for the agents of a relay in its status and in its log: they come, carry
# streams, are lost, and come back.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::Stream qw/ stream /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Operator;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl http /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

status_relay_conf($relay);
reverse_conf($reverse, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_name door;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    proxy_half_close on;

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%%;
        trp_route %%PORT_8081%%:%%PORT_8091%%;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

my $started = time();

$relay->run()->plan(41 + 4);

# nobody is there

my $server = row_is('servers', { tunnels => 0 });

is($server->{listen}, '127.0.0.1:' . port(8443), 'the relay');
cmp_ok($server->{certificate_expires}, '>', time() + 3600, 'its certificate');
is(rows_of('agents', {}), 0, 'no agents');
is(rows_of('workers', {}), 1, 'a worker');
is((rows_of('workers', {}))[0]{pid}, (worker_pids($relay))[0], 'its pid');

# they come

$reverse->run();
$entry->run();

my $r = row_is('agents', { role => 'reverse', up => 1 });
my $e = row_is('agents', { role => 'entry', up => 1 });

is($r->{group}, '0', 'group');
is($e->{name}, 'door', 'name');
is($e->{comment}, 'entry', 'comment');
is($e->{address}, '127.0.0.1', 'address');
like($e->{key}, qr/^AAAAC3NzaC1lZDI1NTE5AAAAI/, 'key');
like($relay->read_file('authorized_keys'), qr/\Q$e->{key}\E/,
    'as in the file of keys');
cmp_ok($e->{since}, '>=', $started, 'since');
cmp_ok($r->{tunnels}, '>', 0, 'tunnels');
is($r->{losses_total}, 0, 'no losses');
is($r->{lost}, undef, 'none yet');

my $door = qr/\[notice\].* entry "door" \(entry\) at 127\.0\.0\.1/;
my $nas = qr/\[notice\].* reverse ".*" \(reverse\) at 127\.0\.0\.1/;

ok(wait_log($relay, qr/$door has come, group: "0"$/), 'the entry comes');
is(count_log($relay, qr/\[notice\].* has come/), 2, 'one line each');

# a stream

my $s = stream('127.0.0.1:' . port(8080));

is($s->io('x' x 10000, length => 10000), 'x' x 10000, 'stream');

$r = row_is('agents', { role => 'reverse', streams => 1 });

is($r->{tunnels} - $r->{idle}, 1, 'one tunnel is busy');
is($r->{sent_bytes_total}, 10000, 'sent');
is($r->{received_bytes_total}, 10000, 'received');

$e = row_is('agents', { role => 'entry', streams => 1 });

is($e->{streams_total}, 1, 'of the entry');
is($e->{received_bytes_total}, 10000, 'received from it');

my $group = row_is('groups', { name => '0', streams => 1 });

is($group->{entries}, 1, 'entries of the group');
is($group->{reverses}, 1, 'reverses');

ok(row_is('servers', { streams => 1, received_bytes_total => 10000,
    sent_bytes_total => 10000 }), 'the relay has them, too');

# one that is refused

stream('127.0.0.1:' . port(8081))->io('');

ok(row_is('agents', { role => 'reverse',
    refused_streams_total => sub { $_[0]{refused} } }), 'refused by it');
ok(row_is('groups', { refused_streams_total => sub { $_[0]{refused} } }),
    'refused in the group');

undef $s;

ok(row_is('agents', { role => 'reverse', streams => 0 }), 'no streams');

# the reverse is killed

kill 'KILL', nginx_pid($reverse), worker_pids($reverse);

my $gone = row_is('agents', { role => 'reverse', up => 0 });

is($gone->{losses_total}, 1, 'a loss');
cmp_ok($gone->{lost}, '>=', $started, 'when');
like($gone->{why}, qr/^closed by the peer|^connection was reset/, 'why');
is($gone->{tunnels}, 0, 'no tunnels');
is($gone->{sent_bytes_total}, 10000, 'what it had is kept');
ok(row_is('groups', { name => '0', reverses => 0, entries => 1 }),
    'the group has no reverse');

ok(wait_log($relay,
    qr/$nas is gone: [^,]+, it was there for \d+ s, group: "0"$/), 'its loss');
is(count_log($relay, qr/\[notice\].* is gone/), 1, 'one line');

# and is back

$reverse->stop()->run();

$r = row_is('agents', { role => 'reverse', up => 1 });

cmp_ok($r->{since}, '>=', $gone->{since}, 'since then');
is($r->{losses_total}, 1, 'the loss is not forgotten');
ok(wait_log($relay, qr/$nas is back after \d+ s, group: "0"$/), 'back');

my @lines = grep { /\[notice\].*(?:come|back|gone)/ }
    split /\n/, $relay->read_file('error.log');

is(@lines, 4, 'no other lines');
