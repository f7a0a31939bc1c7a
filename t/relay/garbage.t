#!/usr/bin/perl

# Tests for peers of a relay that break the protocol: each loses its
# connection, with one line in the log, and nobody else notices.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_auth_timeout 10m;
        trp_authorized_keys authorized_keys;
    }
}

EOC

trp_cert($relay);
$relay->write_file('authorized_keys', trp_keys($relay, 'any'));
$relay->run();

my $dir = $relay->testdir();

my $open = frame('OPEN', open_payload(port => 80));
my $data = frame('DATA', 'data');
my $auth = 'x' x 170;

my %raw = (
    'plain text' => "GET / HTTP/1.0\r\n\r\n",
    'plain bytes' => join('', map { chr } 0 .. 255) x 8,
    'zeros' => "\0" x 3000,
    'a broken ClientHello' => pack('C n n C', 22, 0x301, 600, 1) . 'x' x 599,
);

# behind TLS, in front of AUTH

my %stranger = (
    'text in TLS' => "GET / HTTP/1.0\r\n\r\n",
    'bytes in TLS' => "\xff" x 3000,
    'AUTH of 1025 bytes' => frame('AUTH', 'x' x 1025),
    'AUTH of 65535 bytes' => frame('AUTH', 'x' x 65535),
    'AUTH too short' => frame('AUTH', 'x' x 20),
    'HELLO from an agent' => frame('HELLO', 'x' x 37),
    'READY from an agent' => frame('READY', 'x' x 3),
    'MOVED from an agent' => frame('MOVED', 'x'),
    'OPEN before AUTH' => $open,
    'DATA before AUTH' => frame('DATA', 'x' x 16380),
    'PING before AUTH' => frame('PING'),
    'ERROR before AUTH' => frame('ERROR', refuse_payload('failed', 0, 'no')),
    'unknown before AUTH' => frame(99, 'x'),
    'optional, but too big before AUTH' => frame(99, 'x' x 1025, 0x80),
);

my %entry = (
    'DATA without OPEN' => $data,
    'END without OPEN' => frame('END'),
    'RESET without OPEN' => frame('RESET'),
    'DONE without OPEN' => frame('DONE'),
    'AUTH twice' => frame('AUTH', $auth),
    'HELLO from an entry' => frame('HELLO', 'x' x 37),
    'OPEN twice' => $open . $open,
    'END twice' => $open . frame('END') x 2,
    'RESET twice' => $open . frame('RESET') x 2,
    'DATA after END' => $open . frame('END') . $data,
    'DATA after RESET' => $open . frame('RESET') . $data,
    'DONE before the end' => $open . frame('DONE'),
    'ACCEPT from an entry' => $open . frame('ACCEPT'),
    'REFUSE from an entry' => $open . frame('REFUSE', refuse_payload(1, 1)),
    'unknown frame' => frame(99, 'x'),
    'unknown in a stream' => $open . $data . frame(99),
    'DATA too long' => $open . frame('DATA', 'x' x 16381),
    'PING with bytes' => frame('PING', 'x'),
    'optional too long' => frame(99, 'x' x 1025, 0x80),
    'OPEN too short' => frame('OPEN', 'x' x 15),
    'OPEN for nowhere' => frame('OPEN', open_payload(port => 0)),
    'OPEN for no name' => frame('OPEN', open_payload(port => 1,
        host => 'a b')),
    'OPEN with a broken family' => frame('OPEN',
        substr(open_payload(port => 1), 0, 9) . "\x05" . 'x' x 40),
    'OPEN with a bad agent' => frame('OPEN',
        open_payload(port => 1, name => "a\nb")),
);

my %reverse = (
    'OPEN from a reverse' => $open,
    'ACCEPT without OPEN' => frame('ACCEPT'),
    'REFUSE without OPEN' => frame('REFUSE', refuse_payload(1, 1)),
    'DATA from a reverse' => $data,
);

# what a reverse answers to OPEN

my %answer = (
    'DATA before ACCEPT' => $data,
    'END before ACCEPT' => frame('END'),
    'ACCEPT twice' => frame('ACCEPT') x 2,
    'REFUSE after ACCEPT' => frame('ACCEPT')
        . frame('REFUSE', refuse_payload(1, 1)),
    'REFUSE twice' => frame('REFUSE', refuse_payload(1, 1)) x 2,
    'REFUSE too long' => frame('REFUSE', refuse_payload(1, 1, 'x' x 129)),
    'OPEN in return' => $open,
);

# half of something, and no more

my %half = (
    'half a header' => substr(frame('AUTH', $auth), 0, 3),
    'half an AUTH' => substr(frame('AUTH', $auth), 0, 99),
    'half an OPEN' => substr($open, 0, 20),
    'half a DATA' => $open . substr($data, 0, 6),
);

$relay->plan(2 * (keys(%raw) + keys(%stranger) + keys(%entry)
    + keys(%reverse) + keys(%answer)) + keys(%half) + 16);

# somebody uses the relay meanwhile

my $user = agent('entry', 'users');
my $service = agent('reverse', 'users');

$user->write(frame('OPEN', open_payload(port => 80)));
ok($service->expect('OPEN'), 'a stream');
$service->send('ACCEPT');
ok($user->expect('ACCEPT'), 'of others');

my ($worker) = worker_pids($relay);
round(1);
alive('after the first round');

my $fds = fd_count($worker);
my $memory = private_memory($worker);

round(0) for 1 .. 5;
alive('after the last round');

ok(wait_for(sub { fd_count($worker) <= $fds }), 'descriptors');

SKIP: {
    skip 'memory is not given back under a sanitizer', 1
        if $ENV{ASAN_OPTIONS};

    cmp_ok(private_memory($worker) - $memory, '<', 1024, 'memory');
}

is((worker_pids($relay))[0], $worker, 'the same worker');
is(count_log($relay, qr/\[(?:warn|error|crit|emerg)\]/), 0,
    'nothing but info');

# what is allowed: optional frames, and any way to cut frames into pieces

my $slow = Test::Nginx::TRP::Client->new(port => port(8443));
my $hello = $slow->expect('HELLO');
$slow->write(frame(99, 'x' x 1024, 0x80) . frame(100, '', 0x80));
$slow->write_slowly($slow->auth($hello, key => key(), group => 'slow'));
ok($slow->expect('READY'), 'AUTH in single bytes');
$slow->write_slowly(frame(99, 'x' x 100, 0x80) . frame('PING'));
ok($slow->expect('PONG'), 'optional frame in single bytes');
$slow->write(frame(99, 'x', 0x80) . frame(99, 'x' x 1024, 0x80)
    . frame('PING'));
ok($slow->expect('PONG'), 'a short one and a long one');

# or, from a reverse, late: of a stream that is over

my $late = agent('reverse', 'slow');
$late->write(frame('DONE') . frame('RESET') x 2 . frame('PING'));
ok($late->expect('PONG'), 'DONE and RESET of the last stream');

$user->write_slowly(frame(99, 'x' x 50, 0x80) . $data);
$user->write(frame('DATA') . frame(99, 'x' x 1024, 0xff) . $data
    . frame('END'));
is($service->data(), 'datadata', 'optional and empty frames in a stream');
ok($service->expect('END'), 'end');

# nginx would wait for their stream

$_->close() for $user, $service;


sub round {
    my ($checks) = @_;

    for my $name (sort keys %raw) {
        my $s = IO::Socket::INET->new('127.0.0.1:' . port(8443));
        broken($checks, $name, sub { syswrite $s, $raw{$name}; end_of($s) });
    }

    for my $name (sort keys %stranger) {
        my $c = Test::Nginx::TRP::Client->new(port => port(8443));
        broken($checks, $name, sub { ends($c, $stranger{$name}) });
    }

    for my $name (sort keys %entry) {
        my $c = agent('entry', 'none');
        broken($checks, $name, sub { ends($c, $entry{$name}) });
    }

    for my $name (sort keys %reverse) {
        my $c = agent('reverse', 'none');
        broken($checks, $name, sub { ends($c, $reverse{$name}) });
    }

    for my $name (sort keys %answer) {
        my $entry = agent('entry', 'pair');
        my $c = agent('reverse', 'pair');
        $entry->write($open);
        $c->expect('OPEN');
        broken($checks, $name, sub { ends($c, $answer{$name}) },
            qr/reverse ".*" .* refused/);
        $entry->close();
    }

    for my $name (sort keys %half) {
        my $c = $name =~ /AUTH|header/
            ? Test::Nginx::TRP::Client->new(port => port(8443))
            : agent('entry', 'none');
        my $before = lines();
        $c->write($half{$name});
        $c->close();
        ok(wait_for(sub { lines() > $before }), $name) if $checks;
    }
}


# in a stream it just ends, otherwise with an ERROR

sub ends {
    my ($client, $data) = @_;
    my $code = '';

    $client->write($data);

    while (my $frame = $client->read()) {
        $code = $frame->{type} eq 'ERROR' ? $frame->{code} : '';
    }

    return $client->end() eq 'timeout' ? 'timeout' : "closed, $code";
}


sub broken {
    my ($checks, $name, $code, $also) = @_;

    settled() if $checks;

    my $before = lines($also);
    my $end = $code->();
    return if !$checks;

    if ($stranger{$name} && $name !~ /ERROR/) {
        is($end, 'closed, protocol', $name);

    } else {
        isnt($end, 'timeout', $name);
    }

    is(lines($also) - $before, 1, 'one line');
}


# lines but those of a good connection

sub lines {
    my ($also) = @_;
    my $good = qr/ connected to | has a tunnel | was aborted: /;

    open my $fh, '<', "$dir/error.log" or die "can't read log: $!\n";
    return scalar grep { /\[(?!notice|debug)\w+\] / && $_ !~ $good
        && !($also && $_ =~ $also) } <$fh>;
}


# the clients of the case before are gone

sub settled {
    my $last = -1;

    wait_for(sub {
        my $fds = fd_count($worker);
        my $same = $fds == $last;
        $last = $fds;
        return $same;
    });
}


sub agent {
    my ($role, $group) = @_;
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $agent->login(key => key(), role => $role, group => $group);

    die "no tunnel\n" if !$ready || $ready->{type} ne 'READY';
    return $agent;
}


sub key {
    return "$dir/any";
}


sub alive {
    my ($name) = @_;
    my $text = "are you there $name?";

    $user->send('DATA', $text);
    is($service->data(length => length $text), $text, "$name: one way");
    $service->send('DATA', $text);
    is($user->data(length => length $text), $text, 'and the other');
}
