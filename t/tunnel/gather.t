#!/usr/bin/perl

# Tests for frames that wait for others to come: DONE waits for its sender's
# own end, both of them for the next OPEN, ACCEPT for the first bytes of an
# answer, but not for long.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Select;
use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_group raw-reverse;
        trp_entry_pool idle=1 max=1;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:127.0.0.1:80 bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass relay;
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

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_group raw-entry;
        trp_reverse_pool idle=2;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

my $service = listener(port(8081));

$relay->run();
$entry->run();
$reverse->run()->plan(31 + 4);

my %key = (entry => $entry->testdir() . '/entry',
    reverse => $reverse->testdir() . '/reverse');

# DONE comes with the end

my $raw = agent('reverse', 'raw-reverse');
ok(wait_log($relay, qr/entry .* has a tunnel/), 'a tunnel of the entry');

my $user = user('question');
ok($raw->expect('OPEN'), 'open');
is($raw->data(length => 8), 'question', 'question');
$raw->write(frame('ACCEPT') . frame('DATA', 'answer') . frame('END'));
is(answer($user), '6 eof', 'an answer and its end');

is($raw->read(timeout => 0.3), undef, 'consumed, nothing is said yet');

syswrite $user, 'more';
is($raw->data(length => 4), 'more', 'the user goes on');
close $user;
ok($raw->expect('END') && $raw->expect('DONE'), 'END, DONE');

# a user who ends first

$user = user('question');
ok($raw->expect('OPEN'), 'the same tunnel');
shutdown $user, 1;
is($raw->data(), 'question', 'question');
ok($raw->expect('END'), 'END');
$raw->write(frame('ACCEPT') . frame('DATA', 'answer') . frame('END'));
ok($raw->expect('DONE'), 'DONE');
is(answer($user), '6 eof', 'answer');

# a user who resets when he has the answer

$user = user('question');
ok($raw->expect('OPEN'), 'the same tunnel');
$raw->data(length => 8);
$raw->write(frame('ACCEPT') . frame('DATA', 'answer') . frame('END'));
is(answer($user), '6 eof', 'answer');
abort($user);
ok($raw->expect('RESET') && $raw->expect('DONE'), 'RESET, DONE');

# a user who waits for the tunnel: the end and his OPEN are one record

$user = user('question');
ok($raw->expect('OPEN'), 'the same tunnel');
$raw->data(length => 8);

my $next = user('next');
ok(wait_log($entry, qr/client .* connected to/, count => 4), 'a user waits');

$raw->write(frame('ACCEPT') . frame('DATA', 'answer') . frame('END'));
is(answer($user), '6 eof', 'answer');
close $user;

is(join(' ', map { $_->{type} } record($raw)), 'END DONE OPEN DATA',
    'an end and the next stream');

$raw->write(frame('ACCEPT') . frame('END'));
is(answer($next), '0 eof', 'answer');
close $next;
ok($raw->expect('END') && $raw->expect('DONE'), 'END, DONE');

# ACCEPT without an answer: a destination that is silent

$raw = agent('entry', 'raw-entry');

$raw->send('OPEN', open_payload(port => port(8081)));
my $c = accepted($service);
ok($raw->expect('ACCEPT'), 'ACCEPT, nobody has spoken');
given_up($raw);

$raw->write(frame('OPEN', open_payload(port => port(8081)))
    . frame('DATA', 'question'));
$c = accepted($service);
ok($raw->expect('ACCEPT'), 'ACCEPT, the user has');
is($raw->read(timeout => 0.2), undef, 'and nothing else');
syswrite $c, 'answer';
is($raw->data(length => 6), 'answer', 'an answer later');
given_up($raw);

# with an answer, and behind as much as an entry may send without it

$raw->write(frame('OPEN', open_payload(port => port(8081)))
    . frame('DATA', 'x' x 16000));
$c = accepted($service);
syswrite $c, 'answer';
ok($raw->expect('ACCEPT'), 'ACCEPT');
is($raw->data(length => 6), 'answer', 'and an answer');
$raw->write(frame('END'));
is(answer($c), '16000 eof', 'all of the question');
close $c;
ok(passed($raw, qw/ END DONE /), 'done');

is(count_log($relay, qr/entry .* has a tunnel/), 2, 'two tunnels of entries');
is(count_log($reverse, qr/tunnel is ready/) < 5, 1, 'and a few of the reverse');

$raw->close();


sub agent {
    my ($role, $group) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443),
        timeout => 10, key => $key{$role}, role => $role, group => $group);
}


sub user {
    my ($text) = @_;
    my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080))
        or die "can't connect: $!\n";

    syswrite $s, $text;
    return $s;
}


sub answer {
    my ($bytes, undef, $end) = drain(@_);
    return "$bytes $end";
}


# the frames that come next in a TLS record

sub record {
    my ($agent) = @_;
    my $s = $agent->socket();
    my @frames;

    IO::Select->new($s)->can_read(10);
    $s->sysread($agent->{in}, 16384, length $agent->{in});

    push @frames, $agent->read() while length $agent->{in};
    return @frames;
}


# reads until frames of these types have come

sub passed {
    my ($agent, @types) = @_;
    my %missing = map { $_ => 1 } @types;

    while (%missing) {
        my $frame = $agent->read() or return;
        delete $missing{$frame->{type}};
    }

    return 1;
}


# ends the stream of an entry

sub given_up {
    my ($agent) = @_;

    $agent->send('RESET');
    passed($agent, qw/ RESET DONE /) or die "not done\n";
    $agent->send('DONE');
}
