#!/usr/bin/perl

# A local entry with several workers: whoever accepts a user, the group's worker
# has the tunnels.  The user's socket is handed over, or, where the group is not
# known from the start, the stream goes through a tunnel between workers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;
use IO::Socket::SSL;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::SOCKS;

my $hub = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_ssl_preread stream_realip map udp /);
my $reverse = Test::Nginx->new();

# groups of all the workers

my %groups = map { slot_of($_) % 4 => $_ } 'a' .. 'z';
my @groups = map { $groups{$_} } 0 .. 3;

my ($hub_conf, $reverse_conf, $map) = ('', '', '');

for my $i (0 .. 3) {
    my $group = $groups[$i];

    $map .= "        $group.example.com $group;\n";

    $hub_conf .= <<"EOC";

    upstream $group {
        trp_entry local;
        trp_entry_group $group;
    }

    server {
        trp_route %%PORT_810$i%%:%%PORT_8090%% bind=127.0.0.1 reuseport;
        proxy_pass $group;
    }

    server {
        trp_route %%PORT_811$i%%:%%PORT_8090%% bind=127.0.0.1 ssl;
        proxy_pass $group;
    }

    server {
        trp_route %%PORT_812$i%%:%%PORT_8090%% bind=127.0.0.1 proxy_protocol;
        set_real_ip_from 127.0.0.1;
        proxy_pass $group;
    }

    server {
        listen 127.0.0.1:%%PORT_813$i%%;
        trp_socks5;
        proxy_pass $group;
    }

    server {
        trp_route %%PORT_898${i}_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1
                  reuseport;
        proxy_responses 1;
        proxy_pass $group;
    }
EOC

    $reverse_conf .= <<"EOC";

    server {
        trp_reverse hub;
        trp_reverse_group $group;
        trp_reverse_pool idle=2;
        proxy_pass \$trp_destination;
    }
EOC
}

$hub->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main '\$pid \$trp_group \$status \$trp_status '
        '\$remote_addr \$proxy_protocol_addr \$realip_remote_addr';

    proxy_half_close on;
    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    map \$ssl_preread_server_name \$by_name {
$map    }

    server {
        listen 127.0.0.1:8443 ssl;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    access_log %%TESTDIR%%/access.log main;

    upstream named {
        trp_entry local;
        trp_entry_group \$by_name;
    }

    server {
        trp_route %%PORT_8140%%:%%PORT_8150%% bind=127.0.0.1;
        ssl_preread on;
        proxy_pass named;
    }

    server {
        listen 127.0.0.1:8150 ssl;
        access_log off;
        return \$ssl_server_name;
    }

$hub_conf}

EOC

$reverse->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream hub {
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_allow 127.0.0.1:*;
$reverse_conf}

EOC

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'));

serve($hub, port(8090), 'echo');
$hub->run_daemon(\&echo_datagrams, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8990, udp => 1))
    || die("no socket: $!\n"));

$hub->run();
$reverse->run()->plan(17 + 2);

ok(wait_for(sub { worker_pids($hub) == 4 }), 'workers');
ok(wait_log($hub, qr/has a tunnel/, count => 8), 'tunnels');

my %pids;

for (split /^/, $hub->read_file('error.log')) {
    $pids{$2} = $1 if /(\d+)#.* has a tunnel in group "(\w+)"/;
}

# handed over: the session is in the worker of the group

my $logged = 0;

is(good(sub { visit(port("810$_[0]")) }), 48, 'plain, served');
is(workers(), 'there 48', 'plain, in the worker of the group');

is(good(sub {
    my $s = IO::Socket::SSL->new(PeerAddr => '127.0.0.1:' . port("811$_[0]"),
        SSL_verify_mode => SSL_VERIFY_NONE) or return 0;
    return echoes($s);
}), 48, 'TLS, served');
is(workers(), 'there 48', 'TLS, in the worker of the group');

is(good(sub {
    my $s = connect_to(port("812$_[0]"));
    syswrite $s, "PROXY TCP4 192.0.2.7 203.0.113.1 40000 443\r\n";
    return echoes($s);
}), 48, 'PROXY protocol, served');
is(workers('192.0.2.7 192.0.2.7 127.0.0.1'), 'there 48',
    'PROXY protocol, in the worker of the group');

is(good(sub {
    my $c = socks(port("813$_[0]"), '127.0.0.1:' . port(8090));
    return $c->rep() == 0 && echoes($c->socket());
}), 48, 'SOCKS5, served');
is(workers(), 'there 48', 'SOCKS5, in the worker of the group');

# through a tunnel between workers

is(good(sub {
    my $name = "$groups[$_[0]].example.com";
    my $s = IO::Socket::SSL->new(PeerAddr => '127.0.0.1:' . port(8140),
        SSL_hostname => $name, SSL_verify_mode => SSL_VERIFY_NONE) or return 0;
    return read_all($s) eq $name;
}), 48, 'ssl_preread, served');
like(workers(), qr/^elsewhere \d+ there \d+$/, 'ssl_preread, in any worker');

is(good(sub {
    my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1',
        PeerPort => port("898$_[0]", udp => 1)) or return 0;
    my $answer = '';

    $s->send("user $_[1]");
    $s->recv($answer, 100) if IO::Select->new($s)->can_read(10);
    return $answer eq "user $_[1]";
}), 48, 'UDP, served');
like(workers(), qr/^elsewhere \d+ there \d+$/, 'UDP, in any worker');

# a large transfer, both ways

my @results = map { transfer(connect_to(port("810$_")), 5_000_000) } 0 .. 3;
is(scalar(grep { $_->{received_sha} eq $_->{sent_sha} } @results), 4,
    'transfers');
$logged += 4;

# the relay part has logged nothing

wait_log($hub, qr/./, file => 'access.log', count => $logged);
is(count_log($hub, qr/./, file => 'access.log'), $logged, 'one line for each');
is(count_log($hub, qr/\[(?:warn|error|crit)\]/), 0, 'no errors');


# how many of 48 users, 12 for each group, are served

sub good {
    my ($user) = @_;
    my $good = 0;

    for my $n (1 .. 12) {
        $good += $user->($_, $n) ? 1 : 0 for 0 .. 3;
    }

    return $good;
}


# which workers have logged the last users: the one of the group, or another

sub workers {
    my ($addrs) = @_;
    my %count;

    $logged += 48;
    $addrs ||= '127.0.0.1 - 127.0.0.1';

    wait_log($hub, qr/./, file => 'access.log', count => $logged, timeout => 5);

    my @lines = split /\n/, $hub->read_file('access.log');

    for (@lines[$#lines - 47 .. $#lines]) {
        my ($pid, $group, $status) = split / /, $_, 3;
        $count{$status ne "200 ok $addrs" ? $status
            : $pids{$group} == $pid ? 'there' : 'elsewhere'}++;
    }

    return join ' ', map { "$_ $count{$_}" } sort keys %count;
}


sub echoes {
    my ($s) = @_;

    syswrite $s, 'SEE';
    my $got = '';
    1 while length $got < 3 && IO::Select->new($s)->can_read(10)
        && sysread $s, $got, 3, length $got;
    close $s;

    return $got eq 'SEE';
}


sub read_all {
    my ($s) = @_;
    my $got = '';

    1 while sysread $s, $got, 4096, length $got;
    return $got;
}
