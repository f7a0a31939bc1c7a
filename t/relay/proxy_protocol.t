#!/usr/bin/perl

# A relay with several workers behind the PROXY protocol: connections are handed
# to the worker of their group, and keep their addresses.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Socket qw/ inet_aton /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $t = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_realip socket_ssl_alpn /)->plan(22);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 4;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format addr '$pid $remote_addr:$remote_port '
        '$proxy_protocol_addr:$proxy_protocol_port '
        '$proxy_protocol_server_addr:$proxy_protocol_server_port '
        '$realip_remote_addr';

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;
    trp_authorized_keys authorized_keys;

    # denied users are logged by the worker to which they were handed

    access_log %%TESTDIR%%/access.log addr;
    deny 192.0.2.66;
    deny 2001:db8::66;

    server {
        listen 127.0.0.1:8443 ssl proxy_protocol;
        set_real_ip_from 127.0.0.1;
        trp_relay;
    }

    server {
        listen 127.0.0.1:8444 ssl proxy_protocol reuseport;
        deny all;
        trp_relay;
    }

    # one socket, which has both

    server {
        listen %%PORT_8445%% ssl proxy_protocol;
        set_real_ip_from 127.0.0.0/8;
        listen 127.0.0.2:%%PORT_8445%% ssl;
        trp_relay;
    }
}

EOC

trp_cert($t);

my ($any, $local) = trp_keys($t, 'any', 'local');
$t->write_file('authorized_keys',
    "from=\"192.0.2.0/24,2001:db8::/32\" $any\nfrom=\"127.0.0.1\" $local\n");

$t->run();

my $dir = $t->testdir();
wait_for(sub { worker_pids($t) == 4 });

# groups of all the workers

my %groups = map { slot_of($_) % 4 => $_ } '0', 'a' .. 'z';
my @groups = map { $groups{$_} } 0 .. 3;

my $tcp4 = "PROXY TCP4 192.0.2.7 203.0.113.1 40000 443\r\n";
my $tcp6 = "PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n";

is(types('any', $tcp4), 'READY 32', 'TCP4');
is(types('any', $tcp6), 'READY 32', 'TCP6');
is(types('any', header2('192.0.2.7')), 'READY 32', 'version 2');
is(types('local', "PROXY UNKNOWN\r\n"), 'READY 32', 'UNKNOWN');
is(types('local', header2()), 'READY 32', 'LOCAL');

is(types('any', "PROXY UNKNOWN\r\n", count => 2), 'ERROR 8',
    'UNKNOWN, key for an address');
is(types('local', $tcp4, count => 2), 'ERROR 8',
    'key for the address of the proxy');

is(types('any', $tcp4, port => 8445), 'READY 32', 'wildcard');
is(types('local', undef, port => 8445, addr => '127.0.0.2',
    LocalAddr => '127.0.0.1'), 'READY 32', 'another address without');

# a wrong hint, or none: MOVED, and found again

for my $n (1 .. 2) {
    is(types('any', $tcp4, count => 2, wrong => $n), 'MOVED 8',
        "wrong hint, worker + $n");
}

my $slot = slot_of($groups[1]);
my %seen;

wait_for(sub {
    $seen{login($groups[1], key => 'any', header => $tcp4)}++;
    return $seen{READY} && $seen{MOVED};
});

ok($seen{READY} && $seen{MOVED}, 'without a hint');

# each group has one worker

my %pids;

for (split /^/, $t->read_file('error.log')) {
    $pids{$2}{$1} = 1 if /(\d+)#.* has a tunnel in group "(\w+)"/;
}

is(join(' ', map { scalar keys %{$pids{$_}} } @groups), '1 1 1 1',
    'one worker for each group');

# what is logged there

for my $case (
    [ 8443, "PROXY TCP4 192.0.2.66 203.0.113.1 40000 443\r\n",
        '192.0.2.66:40000 192.0.2.66:40000 203.0.113.1:443 127.0.0.1' ],
    [ 8443, "PROXY TCP6 2001:db8::66 2001:db8::1 40000 443\r\n",
        '2001:db8::66:40000 2001:db8::66:40000 2001:db8::1:443 127.0.0.1' ],
    [ 8443, header2('192.0.2.66'),
        '192.0.2.66:40000 192.0.2.66:40000 203.0.113.1:443 127.0.0.1' ],
    [ 8444, $tcp4,
        '127.0.0.1:PORT 192.0.2.7:40000 203.0.113.1:443 127.0.0.1' ],
    [ 8444, "PROXY UNKNOWN\r\n", '127.0.0.1:PORT -:- -:- 127.0.0.1' ])
{
    my ($port, $header, $line) = @$case;

    is(denied($port, $header), join("\n", map { "$_ $line" } @groups),
        "$port: $line");
}

# no connection is left in a worker that has passed it on

my @open = map { connect_to(port(8443)) } 1 .. 8;
syswrite $_, $tcp4 . client_hello('trp/2', hint($groups[2])) for @open;
ok(wait_for(sub { tcp_count(port(8443)) >= 8 }), 'connections');
close $_ for @open;
ok(wait_for(sub { tcp_count(port(8443)) == 0 }), 'closed');

is(count_log($t, qr/\[(?:warn\](?!.* is not authorized)|(?:crit|alert)\])/), 0,
    'no errors');

$t->stop();
ok(1, 'stopped');


sub hint {
    return sprintf 'trp-slot/%02d', slot_of($_[0]);
}


sub login {
    my ($group, %opts) = @_;
    my $hint = delete $opts{hint};
    my $key = delete $opts{key};

    my $client = Test::Nginx::TRP::Client->new(port => port(8443),
        alpn => [ 'trp/2', defined $hint ? $hint : () ], %opts);
    my $answer = $client->login(key => "$dir/$key", group => $group);

    return $answer ? $answer->{type} : 'nothing';
}


# what agents of all groups are told: key, header; count (for each group), port,
# wrong (to be added to the slot), addr

sub types {
    my ($key, $header, %opts) = @_;
    my %types;

    my @opts = (
        defined $header ? (header => $header) : (),
        defined $opts{addr} ? (PeerAddr => $opts{addr}) : (),
        port => port($opts{port} || 8443),
    );

    for my $group (@groups) {
        my $slot = (slot_of($group) + ($opts{wrong} || 0)) % 64;
        my $hint = sprintf 'trp-slot/%02d', $slot;

        $types{login($group, key => $key, hint => $hint, @opts)}++
            for 1 .. $opts{count} || 8;
    }

    return join ' ', map { "$_ $types{$_}" } sort keys %types;
}


# the access log of users of each group that are not allowed, with the name of
# the group whose worker has written the line

sub denied {
    my ($port, $header) = @_;
    my %found;

    for my $group (@groups) {
        my $before = count_log($t, qr/./, file => 'access.log');

        for (1 .. 4) {
            my $s = connect_to(port($port));
            syswrite $s, $header . client_hello('trp/2', hint($group));
            end_of($s);
            close $s;
        }

        wait_for(sub {
            count_log($t, qr/./, file => 'access.log') == $before + 4;
        });

        my @lines = split /\n/, $t->read_file('access.log');

        for (@lines[$before .. $#lines]) {
            my ($pid, $line) = split / /, $_, 2;
            my ($there) = grep { $pids{$_}{$pid} } @groups;

            $line =~ s/^127.0.0.1:\d+/127.0.0.1:PORT/;
            $found{"$there $line"}++;
        }
    }

    my %order = map { $groups[$_] => $_ } 0 .. 3;

    return join "\n", sort { $order{substr $a, 0, 1} <=> $order{substr $b, 0, 1}
        || $a cmp $b } keys %found;
}


# a header of version 2: of a TCP connection over IPv4, or LOCAL

sub header2 {
    my ($addr) = @_;

    return "\r\n\r\n\0\r\nQUIT\n" . (defined $addr
        ? pack 'C C n a4 a4 n n', 0x21, 0x11, 12, inet_aton($addr),
            inet_aton('203.0.113.1'), 40000, 443
        : pack 'C C n', 0x20, 0, 0);
}
