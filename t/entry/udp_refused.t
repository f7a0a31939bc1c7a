#!/usr/bin/perl

# Routes of UDP whose destination is refused, does not answer, or cannot be
# reached for want of a reverse: sessions end, users are not answered, and all
# of it passes.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format main "$protocol $trp_destination_port $status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8990_UDP%%;
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

    error_log %%TESTDIR%%/error.log info;

    log_format main "$server_port $status $trp_status "
                    "$bytes_received $bytes_sent";
    access_log %%TESTDIR%%/access.log main;

    proxy_timeout 3s;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8980_UDP%%:%%PORT_8990_UDP%% udp bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8981_UDP%%:9 udp bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

$relay->run();
$entry->run()->plan(13 + 4);

wait_tunnels($entry, 8443, 1);

# there is no reverse yet: a few datagrams wait for it

my $echo = service();
my $u = user(8980);
$u->send("early $_") for 1 .. 20;

$reverse->run();

is(join(' ', map { answer($u) || '' } 1 .. 8),
    join(' ', map { "early $_" } 1 .. 8), 'the first 8');
is(ask($u, 'next'), 'next', 'the others were dropped');
ok(wait_log($entry, qr/stream has lost datagrams: 12, /), 'and counted');
ok(wait_log($entry, logged(8980, '200 ok \d+ \d+')), 'the session has ended');

# the destination is not allowed: one session for many datagrams

$u = user(8981);
$u->send('no') for 1 .. 50;
ok(wait_log($entry, logged(8981, '502 not allowed 100 0')), 'not allowed');
ok(wait_log($reverse, qr/^UDP 9 403 not allowed$/, file => 'access.log'),
    'at the reverse');
is(count_log($reverse, qr/^UDP 9 /, file => 'access.log') <= 3, 1,
    'asked once, and again as often as a refusal may be');

# the service is down: an ICMP error ends the session, the next one is served

close $echo;
$u = user(8980);
$u->send('x');
ok(wait_log($entry, logged(8980, '200 aborted 1 0')), 'service is down');

$echo = service();
is(ask($u, 'back'), 'back', 'it is back');

# it goes down in a session

close $echo;
$u->send('gone');
ok(wait_log($entry, logged(8980, '200 aborted 8 4')), 'down in a session');

$echo = service();
is(ask($u, 'once more'), 'once more', 'another session');

# the relay goes, and comes back

$relay->stop();
$relay->run();
wait_log($_, qr/ tunnel is ready/, count => 10) for $entry, $reverse;

is(wait_for(sub { ask($u, 'relay', 0.5) }), 'relay', 'another relay');
is(count_log($entry, qr/\[(?:alert|crit)\]/), 0, 'no alerts');


sub service {
    my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1',
        LocalPort => port(8990, udp => 1)) || die("no socket: $!\n");
    $s->blocking(0);
    return $s;
}


sub user {
    my ($port) = @_;

    return IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1',
        PeerPort => port($port, udp => 1)) || die("no socket: $!\n");
}


sub logged {
    my ($port, $rest) = @_;
    return (qr/^${\port($port, udp => 1)} $rest$/, file => 'access.log');
}


sub ask {
    my ($s, $data, $timeout) = @_;

    $s->send($data);
    my $got;
    do { $got = answer($s, $timeout) } while defined $got && $got ne $data;
    return $got;
}


# the service is this test as well

sub answer {
    my ($s, $timeout) = @_;
    my $select = IO::Select->new($s, $echo);
    my $end = time() + ($timeout || 10);

    while (time() <= $end) {
        for my $ready ($select->can_read($timeout || 10)) {
            my $from = recv $ready, my $data, 65536, 0;
            next if !defined $from;
            return $data if $ready == $s;
            send $echo, $data, 0, $from;
        }
    }

    return;
}
