#!/usr/bin/perl

# WireGuard over a route of UDP: a transfer by TCP, and datagrams in both
# directions, while the entry and the reverse are reloaded.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Programs qw/ executable output /;

plan(skip_all => 'not root') if $> != 0;
plan(skip_all => 'no /dev/net/tun') if !-e '/dev/net/tun';

for (qw/ wireguard-go wg ip /) {
    plan(skip_all => "$_ not found") if !executable($_);
}

my %ns = (client => "trp-wgc-$$", server => "trp-wgs-$$");
my %dev = (client => "wgc$$", server => "wgs$$");
my %addr = (client => '10.77.0.2', server => '10.77.0.1');

END {
    local $?;
    system("ip netns del $_ 2> /dev/null") for values %ns;
}

for (values %ns) {
    output({ err => 1 }, qw/ ip netns add /, $_);
    plan(skip_all => 'no network namespaces') if $?;
}

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);
reverse_conf($reverse, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        proxy_timeout 5s;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

# the devices are in namespaces of their own, the sockets are here

my $dir = $relay->testdir();
my (%private, %public);

for (qw/ client server /) {
    chomp($private{$_} = output(qw/ wg genkey /));
    $relay->write_file("$_.key", $private{$_});
    chomp($public{$_} = `wg pubkey < $dir/$_.key`);

    $relay->run_daemon('env', 'WG_PROCESS_FOREGROUND=1', 'LOG_LEVEL=error',
        'wireguard-go', '-f', $dev{$_});
}

for my $side (qw/ client server /) {
    my $other = $side eq 'client' ? 'server' : 'client';

    wait_for(sub { -S "/var/run/wireguard/$dev{$side}.sock" }, 5)
        or plan(skip_all => 'wireguard-go does not start');

    run('wg', 'set', $dev{$side}, 'private-key', "$dir/$side.key",
        $side eq 'server' ? ('listen-port', port(8990, udp => 1)) : (),
        'peer', $public{$other}, 'allowed-ips', "$addr{$other}/32",
        $side eq 'client' ? ('endpoint', '127.0.0.1:' . port(8980, udp => 1))
            : ());

    run('ip', 'link', 'set', $dev{$side}, 'netns', $ns{$side});
    run('ip', '-n', $ns{$side}, 'addr', 'add', "$addr{$side}/24", 'dev',
        $dev{$side});
    run('ip', '-n', $ns{$side}, 'link', 'set', $dev{$side}, 'up');
}

$relay->write_file('inside.pl', <<'EOC');
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw/ sleep time /;

$| = 1;
my ($what, $addr, $n) = @ARGV;

sub udp { IO::Socket::INET->new(Proto => 'udp', @_) or die "udp: $!\n" }

if ($what eq 'serve') {
    my $tcp = IO::Socket::INET->new(Listen => 8, LocalAddr => $addr,
        LocalPort => 7) or die "tcp: $!\n";
    my $udp = udp(LocalAddr => $addr, LocalPort => 7);
    my $s = IO::Select->new($tcp, $udp);

    while (1) {
        for my $c ($s->can_read()) {
            if ($c == $tcp) {
                $s->add($tcp->accept());
            } elsif ($c == $udp) {
                my $from = recv $udp, my $data, 2000, 0;

                # many answers for one

                my $many = $data =~ /^push (\d+)/ ? $1 : 1;

                for (1 .. $many) {
                    send $udp, $data, 0, $from;
                    sleep 0.005 if $many > 1;
                }
            } else {
                sysread $c, my $data, 65536 or $s->remove($c), next;
                syswrite $c, $data;
            }
        }
    }
}

if ($what eq 'tcp') {
    my $tcp = IO::Socket::INET->new(PeerAddr => $addr, PeerPort => 7,
        Timeout => 20) or die "tcp: $!\n";
    my ($sent, $got, $s) = (0, 0, IO::Select->new($tcp));
    $tcp->blocking(0);

    while ($got < $n) {
        if ($sent < $n && $s->can_write(0)) {
            $sent += syswrite($tcp, 'x' x 16384) || 0;
        }
        while ($s->can_read($sent < $n ? 0.001 : 20)) {
            my $len = sysread $tcp, my $data, 65536 or die "closed\n";
            $got += $len;
            last if $got >= $n;
        }
    }

    print "$got\n";
}

# a datagram every 5 ms, each with an answer

if ($what eq 'udp') {
    my $udp = udp(PeerAddr => $addr, PeerPort => 7);
    my $s = IO::Select->new($udp);
    my ($got, $sent) = (0, 0);

    for (1 .. $n) {
        $sent++;
        send $udp, "datagram $_", 0;
        while ($s->can_read(0.005)) { recv $udp, my $d, 2000, 0; $got++ }
    }

    while ($got < $n && $s->can_read(3)) { recv $udp, my $d, 2000, 0; $got++ }
    print $n - $got, "\n";
}

# one datagram, and then only the server speaks

if ($what eq 'push') {
    my $udp = udp(PeerAddr => $addr, PeerPort => 7);
    my $s = IO::Select->new($udp);
    my $got = 0;

    send $udp, "push $n", 0;
    while ($got < $n && $s->can_read(3)) { recv $udp, my $d, 2000, 0; $got++ }
    print $n - $got, "\n";
}
EOC

$relay->run_daemon(inside('server', 'serve', $addr{server}));

$relay->run();
$reverse->run();
$entry->run()->plan(9 + 4);

wait_tunnels($_, 8443, 1) for $entry, $reverse;

is(wait_for(sub { output({ err => 1 }, inside('client', 'udp', $addr{server},
    1)) =~ /^0$/m }), 1, 'WireGuard');
is(output(inside('client', 'tcp', $addr{server}, 4_000_000)) >= 4_000_000, 1,
    'a transfer by TCP');
is(output(inside('client', 'udp', $addr{server}, 100)), "0\n", 'datagrams');

for my $test ([ $entry, 'entry' ], [ $reverse, 'reverse' ]) {
    my ($t, $name) = @$test;

    for my $what (qw/ udp push /) {
        my $lost = during($t, inside('client', $what, $addr{server}, 600));
        cmp_ok($lost, '<=', 2, "reload of the $name, $what")
            or diag("$lost of 600 lost");
    }
}

my $transfer = during($entry, inside('client', 'tcp', $addr{server},
    20_000_000));
cmp_ok($transfer, '>=', 20_000_000, 'a transfer during a reload');
like(output('wg', 'show', $dev{client}) . output('ip', 'netns', 'exec',
    $ns{client}, 'wg', 'show', $dev{client}), qr/latest handshake/,
    'handshake');


# what a command prints, with a reload after half a second

sub during {
    my ($t, @command) = @_;

    open my $fh, '-|', @command or die "can't run: $!\n";
    select undef, undef, undef, 0.5;
    $t->reload();
    chomp(my $line = <$fh> // '');
    close $fh;

    return $line;
}


sub inside {
    my ($side, @args) = @_;
    return ('ip', 'netns', 'exec', $ns{$side}, $^X, "$dir/inside.pl", @args);
}


sub run {
    my $text = output({ err => 1 }, @_);
    plan(skip_all => "@_: $text") if $?;
}
