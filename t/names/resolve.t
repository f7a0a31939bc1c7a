#!/usr/bin/perl

# A name whose addresses change while nginx runs: tunnels to the new ones, no
# more to the old ones, streams in their course go on, and no user fails.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use Time::HiRes qw/ sleep /;

use Test::Nginx;
use Test::Nginx::TRP;

my $relays = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_upstream_zone /);

plan(skip_all => 'no resolve in this nginx')
    if !$relays->has_version('1.27.3');

my $reverse = Test::Nginx->new();
my $entry = Test::Nginx->new();

$relays->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:%%PORT_8443%% ssl;
        listen 127.0.0.2:%%PORT_8443%% ssl;
        listen 127.0.0.3:%%PORT_8443%% ssl;

        ssl_certificate relay.crt;
        ssl_certificate_key relay.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
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

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s ipv6=off;
    resolver_timeout 1s;

    upstream relay {
        zone relay 256k;
        server relay.trp.test:%%PORT_8443%% resolve;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate ca.crt;

        proxy_half_close on;
        proxy_pass $trp_destination;
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

    resolver 127.0.0.1:%%PORT_8982_UDP%% valid=1s ipv6=off;
    resolver_timeout 1s;

    error_log %%TESTDIR%%/error.log info;

    log_format main "$upstream_addr $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        zone relay 256k;
        server relay.trp.test:%%PORT_8443%% resolve;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate ca.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }
}

EOC

trp_ca($relays, 'ca');
trp_issue($relays, 'ca', 'relay', names => 'DNS:relay.trp.test');
$_->write_file('ca.crt', $relays->read_file('ca.crt')) for $entry, $reverse;
$relays->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

$entry->write_file('addresses', '127.0.0.1');
$entry->run_daemon(\&dns, $entry, port(8982, udp => 1));
$entry->waitforfile($entry->testdir() . '/dns.log');

$_->run() for $relays, $reverse, $entry;
$entry->plan(32 + 2 * 2);

my @agents = ($reverse, $entry);

ok(ready($_, '127.0.0.1'), 'tunnels') for @agents;

# from now on there are users all the time, and one who stays

$entry->run_daemon(\&user, $entry, port(8080));
ok(users($entry, '127.0.0.1'), 'users');

my $s = connect_to(port(8080));
is(transfer($s, 1000, fin => 0)->{received}, 1000, 'one who stays');

# another address

change($entry, '127.0.0.2');
ok(ready($_, '127.0.0.2'), 'tunnels to the new address') for @agents;
ok(users($entry, '127.0.0.2'), 'users by the new address');
ok(tunnels(1, 2), 'none to the old one but those of the stream');
is(transfer($s, 1000, fin => 0)->{received}, 1000, 'which goes on');
shutdown $s, 1;
is(end_of($s), 'eof', 'to its end');
ok(tunnels(1, 0), 'none to the old one');

# one more, and the first one again

change($entry, '127.0.0.2 127.0.0.3');
ok(ready($_, '127.0.0.3'), 'tunnels to one more') for @agents;
ok(users($entry, $_), "users by $_") for '127.0.0.2', '127.0.0.3';

my @before = map { seen($_, '127.0.0.1') } @agents;
change($entry, '127.0.0.1');
ok(ready($agents[$_], '127.0.0.1', $before[$_] + 4), 'tunnels to the first')
    for 0, 1;
ok(users($entry, '127.0.0.1'), 'users by the first');
ok(tunnels($_, 0), "none to $_") for 2, 3;

# the name server has trouble: all stays as it is

change($entry, 'trouble');
asked($entry, 4);
ok(users($entry, '127.0.0.1'), 'users');
ok(tunnels(1, 1, 1), 'tunnels as before');

# it has never been better: the new workers know it from the old ones

for my $t ($reverse, $entry) {
    my $before = seen($t, '127.0.0.1');
    ok(reload_and_wait($t), 'reload');
    ok(ready($t, '127.0.0.1', $before + 4), 'tunnels of the new worker');
}

change($entry, '127.0.0.3');
ok(ready($_, '127.0.0.3', 4 + 4), 'tunnels after that') for @agents;
ok(users($entry, '127.0.0.3'), 'users after that');

# nobody has noticed

$entry->write_file('stop', '');
ok(wait_log($entry, qr/^done/, file => 'users.log'), 'the last user');
is(count_log($entry, qr/^failed/, file => 'users.log'), 0,
    'no user has failed');
is(count_log($entry, qr/ (?!200 ok$|ok$)/, file => 'access.log'), 0,
    'no other line');


# the agent has tunnels, by its log

sub ready {
    my ($t, $addr, $count) = @_;
    return wait_log($t, qr/ tunnel is ready.* relay: $addr:/,
        count => $count || 4);
}

sub seen {
    my ($t, $addr) = @_;
    return count_log($t, qr/ tunnel is ready.* relay: $addr:/);
}

# connections of a relay, so many or more

sub tunnels {
    my ($last, $count, $more) = @_;
    my $re = sprintf '^ *\d+: %02X00007F:%04X \S+ 01 ', $last, port(8443);

    return wait_for(sub {
        open my $fh, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!\n";
        my $now = grep { /$re/ } <$fh>;
        return $more ? $now >= $count : $now == $count;
    });
}

# users, one after another

sub user {
    my ($t, $port) = @_;

    open my $fh, '>>', $t->testdir() . '/users.log' or die "users.log: $!\n";

    until (-e $t->testdir() . '/stop') {
        syswrite $fh, visit($port) ? "ok\n" : "failed\n";
        sleep 0.005;
    }

    syswrite $fh, "done\n";
    sleep 3600;
}

# more users come by this address

sub users {
    my ($t, $addr) = @_;
    my $re = qr/^$addr:\d+ 200 ok$/;
    my $before = count_log($t, $re, file => 'access.log');

    return wait_log($t, $re, file => 'access.log', count => $before + 10);
}

# the answers of the name server are others now

sub change {
    my ($t, $addresses) = @_;
    $t->write_file('new', $addresses);
    rename $t->testdir() . '/new', $t->testdir() . '/addresses';
}

# it has been asked so many times more

sub asked {
    my ($t, $count) = @_;
    my $before = count_log($t, qr/^/, file => 'dns.log');
    return wait_log($t, qr/^/, file => 'dns.log', count => $before + $count);
}

# one question, of type A; all else has an empty answer

sub dns {
    my ($t, $port) = @_;

    my $socket = IO::Socket::INET->new(
        Proto => 'udp',
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
    ) or die "can't listen on $port: $!\n";

    open my $log, '>', $t->testdir() . '/dns.log' or die "dns.log: $!\n";

    while (1) {
        defined $socket->recv(my $query, 4096) or next;
        next if length $query < 17;

        my ($id) = unpack 'n', $query;
        my ($question, $type) = substr($query, 12)
            =~ /^((?:[^\0].*?)?\0(..)..)/s or next;
        my @addrs = split ' ', $t->read_file('addresses');
        my $trouble = "@addrs" eq 'trouble';

        @addrs = () if $trouble || unpack('n', $type) != 1;

        $socket->send(pack('n6', $id, $trouble ? 0x8182 : 0x8180, 1,
            scalar @addrs, 0, 0) . $question . join '', map {
            pack 'n3 N n C4', 0xc00c, 1, 1, 1, 4, split /\./ } @addrs);

        syswrite $log, "@addrs\n";
    }
}
