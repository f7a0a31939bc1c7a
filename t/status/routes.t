#!/usr/bin/perl

# Tests for routes, published services and reverses in the view of an operator:
# sessions now and ever, what they carry while they last, and refusals, with
# TCP and UDP, ranges and variables, at an entry and at a hub.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Rows;

my $hub = Test::Nginx->new()->has(qw/ http stream stream_ssl stream_return
    udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();
my $first = port_range(8960, 3);

my $http = <<'EOC';
http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    server {
        listen 127.0.0.1:AT;

        location /trp/ {
            trp_status;
        }
    }
}
EOC

hub_conf($hub, stream => <<'EOC', main => $http =~ s/AT/8085/r);
    server {
        listen 127.0.0.1:8082;
        trp_publish;
        proxy_pass hub;
    }
EOC

$entry->write_file_expand('nginx.conf', <<'EOC' . $http =~ s/AT/8086/r);

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    map $server_port $where {
        default 127.0.0.1:%%PORT_8090%%;
    }

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:127.0.0.9:9;
        trp_route unix:%%TESTDIR%%/in:$where;
        trp_route RANGE:10.0.0.5:6000-6002 bind=127.0.0.2;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8984_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        proxy_pass relay;
        proxy_timeout 1s;
    }

    server {
        trp_route %%PORT_8087%%:1 bind=127.0.0.1;
        return "no relay";
    }
}

EOC

$entry->write_file('nginx.conf', $entry->read_file('nginx.conf')
    =~ s/RANGE/join '-', $first, $first + 2/er);

$reverse->write_file_expand('nginx.conf', <<'EOC' . $http =~ s/AT/8088/r);

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_name home;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1;
        trp_reverse_publish %%PORT_8082%% 127.0.0.1:%%PORT_8090%%;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($hub, $entry, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    join '', 'permitlisten="', port(8082), '" ',
    trp_keys($reverse, 'reverse'), '');

serve($hub, port(8090), 'echo');
$hub->run_daemon(\&echo_datagrams, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8990, udp => 1))
    || die("no socket: $!\n"));

$hub->run();
$reverse->run();
$entry->run()->plan(30 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;
wait_log($reverse, qr/is published/);

# what there is

my $rows = view($entry, 'routes');
my $dir = $entry->testdir();

is(join(' ', sort keys %$rows), join(' ', sort '127.0.0.1:' . port(8081),
    '*:' . port(8083), '127.0.0.1:' . port(8984, udp => 1) . '/udp',
    "unix:$dir/in", '127.0.0.2:' . join('-', $first, $first + 2),
    '127.0.0.1:' . port(8087)), 'where they listen');
is_deeply([ map { $rows->{$_}{destination} } '*:' . port(8083),
    "unix:$dir/in", '127.0.0.2:' . join('-', $first, $first + 2) ],
    [ '127.0.0.9:9', '$where', '10.0.0.5:6000-6002' ], 'where they lead to');
is($rows->{"unix:$dir/in"}{upstream}, 'relay', 'and by which upstream');
is($rows->{'127.0.0.1:' . port(8087)}{upstream}, '', 'by none');

# TCP: seen while it lasts

my $s = connect_to(port(8081));
$s->syswrite(noise(1000));
is(length receive($s, 1000), 1000, 'echo');

my $row = wait_route($entry, '127.0.0.1:' . port(8081), 'received_bytes_total',
    1000);
is($row->{streams}, 1, 'a stream');
is($row->{received_bytes_total}, 1000, 'received so far');
is($row->{sent_bytes_total}, 1000, 'sent so far');
is($row->{streams_total}, 1, 'the first one');

$row = wait_rows($reverse, 'reverses', sub {
    $_[0]{home}{received_bytes_total} == 1000 })->{home};
is("$row->{streams} $row->{streams_total} $row->{sent_bytes_total}",
    '1 1 1000', 'and at the reverse');
is_deeply($row->{refused_streams_total}, {}, 'nothing was refused');

# over a reload, and after it

reload_and_wait($entry);
$s->syswrite(noise(500));
is(length receive($s, 500), 500, 'an old worker has it');
is(wait_route($entry, '127.0.0.1:' . port(8081), 'received_bytes_total',
    1500)->{streams}, 1, 'which is seen');

undef $s;
is(wait_rows($entry, 'routes', sub {
    !$_[0]{'127.0.0.1:' . port(8081)}{streams} })
    ->{'127.0.0.1:' . port(8081)}{sent_bytes_total}, 1500, 'all was counted');

# UDP

my $u = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1',
    PeerPort => port(8984, udp => 1));
$u->send('x' x 300);
IO::Select->new($u)->can_read(10) && $u->recv(my $data, 65536);
is($data, 'x' x 300, 'datagram');

$row = wait_route($entry, '127.0.0.1:' . port(8984, udp => 1) . '/udp',
    'received_bytes_total', 300);
is("$row->{streams_total} $row->{received_bytes_total}", '1 300',
    'datagrams are counted');

# variables, at a unix socket

my $unix = IO::Socket::UNIX->new(Peer => "$dir/in");
$unix->syswrite('hello');
is(receive($unix, 5), 'hello', 'unix');
is(wait_route($entry, "unix:$dir/in", 'sent_bytes_total', 5)->{streams_total},
    1, 'variables');
undef $unix;

# refused by the reverse: at both ends

is(reset_of(connect_to(port(8083))), 1, 'refused');

is_deeply(wait_rows($entry, 'routes', sub {
    %{$_[0]{'*:' . port(8083)}{refused_streams_total}} })
    ->{'*:' . port(8083)}{refused_streams_total}, { 'not allowed' => 1 },
    'counted by code');
is(wait_rows($reverse, 'reverses', sub {
    %{$_[0]{home}{refused_streams_total}} })
    ->{home}{refused_streams_total}{'not allowed'}, 1, 'and there');

is(wait_rows($entry, 'routes', sub { !grep { $_->{streams} } values %{$_[0]} })
    ->{'*:' . port(8083)}{streams}, 0, 'all have left');

# users whom no relay serves

$s = connect_to(port(8087));
is(receive($s, 8), 'no relay', 'another handler');
$row = wait_route($entry, '127.0.0.1:' . port(8087), 'sent_bytes_total', 8);
is($row->{streams_total}, 1, 'counted, too');

# a hub: a route, and a service

is(visit(port($_)), 1, "user of $_") for 8080, 8082;

$rows = wait_rows($hub, 'routes', sub {
    !grep { $_->{streams} || !$_->{streams_total} } values %{$_[0]} });
is(join(' ', map { $rows->{$_}{destination} } sort keys %$rows),
    join(' ', map { $rows->{$_}{destination} } map { '127.0.0.1:' . port($_) }
    sort { port($a) <=> port($b) } 8080, 8082), 'rows of a hub');
is($rows->{'127.0.0.1:' . port(8082)}{destination}, 'published', 'service');
cmp_ok($rows->{'127.0.0.1:' . port(8082)}{received_bytes_total}, '>=', 100,
    'bytes of a service');
cmp_ok($rows->{'127.0.0.1:' . port(8080)}{received_bytes_total}, '>=', 100,
    'bytes of a local route');


# the rows of a kind, by where they listen, or by name

sub view {
    my ($t, $kind) = @_;
    my $port = $t == $hub ? 8085 : $t == $entry ? 8086 : 8088;

    my $json = status_json(http_get('/trp/status.json',
        PeerAddr => '127.0.0.1:' . port($port)));

    return { map { ($kind eq 'routes' ? $_->{listen} : $_->{name}) => $_ }
        @{$json->{$kind}} };
}


sub wait_rows {
    my ($t, $kind, $code) = @_;
    my $rows;

    return $rows if wait_for(sub { $code->($rows = view($t, $kind)) });
    return {};
}


sub wait_route {
    my ($t, $listen, $field, $value) = @_;

    return wait_rows($t, 'routes', sub {
        $_[0]{$listen}{$field} == $value })->{$listen} || {};
}
