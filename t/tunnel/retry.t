#!/usr/bin/perl

# Tests for a reverse that fails at the moment it is needed: the user gets
# his answer from another one, and nothing of what he sent early is lost.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

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

    log_format main "$status $trp_status";
    access_log %%TESTDIR%%/access.log main;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
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

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_name good;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), trp_keys($relay, 'bad'));

serve($relay, port(8081), 'echo');

my $dir = $relay->testdir();

$relay->run();
$entry->run();
$reverse->run()->plan(34 + 4);

ok(wait_log($relay, qr/entry ".*" .* has a tunnel/, count => 4), 'entry');
ok(wait_log($relay, qr/reverse "good" .* has a tunnel/, count => 4),
    'good reverse');

# the good one has been chosen: whoever comes new is next

is(answer(connect_to(port(8080), timeout => 30), 0), 1, 'good one alone');

# sizes of what is sent before anybody accepts; more than 16 KiB has to wait

my %fail = (
    closes => sub { $_[0]->close() },
    resets => sub { $_[0]->abort() },
    'refuses with retry' => sub {
        $_[0]->send('REFUSE', refuse_payload('limit', 1));
    },
    'drains and closes' => sub {
        $_[0]->send('DRAIN');
        $_[0]->close();
    },
);

for my $what (sort keys %fail) {
    for my $size (0, 1, 16384, 100_000) {

        my $bad = agent();
        my $s = connect_to(port(8080), timeout => 30);
        syswrite $s, chr(65 + $size % 26) x ($size > 16384 ? 16384 : $size);

        chosen($bad) or die "the bad one was not chosen\n";
        $fail{$what}->($bad);

        is(answer($s, $size), 1, "$what: $size bytes");
        undef $bad;
    }
}

ok(wait_log($entry, qr/^200 ok$/, file => 'access.log', count => 17),
    'access log');
is(count_log($entry, qr/^(?!200 ok)/, file => 'access.log'), 0,
    'no user has noticed');

# many at once, each with one that fails in front of it

my @bad = map { agent() } 1 .. 2;
my @users = map { connect_to(port(8080), timeout => 30) } 1 .. 2;
chosen($_) for @bad;
$_->abort() for @bad;
is(answer($_, 0), 1, 'two at once') for @users;

# after ACCEPT nothing is tried again

my $bad = agent();
my $s = connect_to(port(8080), timeout => 30);
ok(chosen($bad), 'chosen');
$bad->write(frame('ACCEPT') . frame('DATA', 'half an ans'));
is(sysread($s, my $data, 100), 11, 'data');
$bad->close();
is(end_of($s), 'reset', 'no retry after ACCEPT');

# a refusal that is final

$reverse->stop();

$bad = agent();
$s = connect_to(port(8080), timeout => 30);
ok(chosen($bad), 'chosen');
$bad->send('REFUSE', refuse_payload('refused', 0));
is(end_of($s), 'reset', 'refused');
ok(wait_log($entry, qr/^502 refused$/, file => 'access.log'), 'access log');

# an entry's tunnel that dies when it is used: the next one is taken

SKIP: {
    skip 'cannot kill sockets', 5 if !kills_sockets();

    $bad->write(frame('DONE') . frame('RESET'));

    pass('ss -K');
    ok(kill('STOP', worker_pids($entry)), 'the entry does not look');
    $s = connect_to(port(8080), timeout => 30);
    syswrite $s, 'early';
    kill_sockets(port(8443));
    ok(kill('CONT', worker_pids($entry)), 'and comes back');

    my $new = agent();
    ok(chosen($new), 'another tunnel');
    $new->write(frame('ACCEPT'));
    is($new->data(length => 5), 'early', 'with what came early');
}


# Agents that have refused come last for a second: this one is another agent
# each time, and less busy than any, as it was never chosen.

my $number;

sub agent {
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));
    my $ready = $agent->login(key => "$dir/bad",
        role => 'reverse', name => 'bad' . ++$number);

    die "no tunnel\n" if !$ready || $ready->{type} ne 'READY';
    return $agent;
}


sub chosen {
    my ($agent) = @_;
    return $agent->expect('OPEN');
}


sub answer {
    my ($s, $size) = @_;
    my $char = chr(65 + $size % 26);
    my $left = $size > 16384 ? $size - 16384 : 0;

    syswrite $s, $char x $left if $left;
    shutdown $s, 1;

    my $all = '';
    1 while sysread $s, $all, 65536, length $all;

    return substr($all, 0, $size, '') eq $char x $size
        && $all =~ /^$size [0-9a-f]{64}\n\z/ ? 1 : "wrong, and then: $all";
}


sub kills_sockets {
    my $s = IO::Socket::INET->new('127.0.0.1:' . port(8081)) or return 0;
    my $port = $s->sockport();

    system "ss -K dst 127.0.0.1 sport = $port >/dev/null 2>&1";
    return end_of($s, 1) ne 'timeout';
}


sub kill_sockets {
    my ($port) = @_;
    system "ss -K dst 127.0.0.1 dport = $port >/dev/null 2>&1";
}
