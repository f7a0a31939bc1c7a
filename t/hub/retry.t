#!/usr/bin/perl

# Tests for a reverse that fails a user of the relay's own nginx: another one
# serves him, at most two more times after a refusal, and never after ACCEPT.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $hub = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $reverse = Test::Nginx->new();

hub_conf($hub);
reverse_conf($reverse, 8443);

trp_cert($hub, $reverse);
$hub->write_file('authorized_keys', join "\n", trp_keys($reverse, 'reverse'),
    trp_keys($hub, 'bad'));

serve($reverse, port(8090), 'echo');

my $dir = $hub->testdir();

$hub->run();
$reverse->run()->plan(30 + 2);

ok(wait_log($hub, qr/has a tunnel/, count => 4), 'tunnels');
is(answer(connect_to(port(8080), timeout => 30), 0), 1, 'a good one alone');

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

ok(wait_log($hub, qr/^ok 200$/, file => 'access.log', count => 17),
    'access log');
is(count_log($hub, qr/^(?!ok 200)/, file => 'access.log'), 0,
    'no user has noticed');

# after ACCEPT nothing is tried again

my $bad = agent();
my $s = connect_to(port(8080), timeout => 30);
ok(chosen($bad), 'chosen');
$bad->write(frame('ACCEPT') . frame('DATA', 'half an ans'));
is(sysread($s, my $data, 100), 11, 'data');
$bad->close();
is(end_of($s), 'reset', 'no retry after ACCEPT');
ok(wait_log($hub, qr/^aborted 200$/, file => 'access.log'), 'aborted');

# a refusal that is final

$reverse->stop();
ok(wait_for(sub { tcp_count(port(8443)) == 0 }), 'the good one is gone');

$bad = agent();
$s = connect_to(port(8080), timeout => 30);
my $open = chosen($bad);
is($open && $open->{retries}, 2, 'retries');
$bad->send('REFUSE', refuse_payload('refused', 0));
is(end_of($s), 'reset', 'refused');
ok(wait_log($hub, qr/^refused 502$/, file => 'access.log'), 'access log');

# one after the other: the third refusal is the last

my @all = map { agent() } 1 .. 4;
$s = connect_to(port(8080), timeout => 30);
my $asked = 0;

for my $n (1 .. 3) {
    my ($next) = wait_for(sub { (grep { open_of($_) } @all)[0] }) or last;

    $asked++;
    $next->send('REFUSE', refuse_payload('limit', 1));
    @all = grep { $_ != $next } @all;
}

is($asked, 3, 'asked one after the other');
is(end_of($s), 'reset', 'then refused');


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


# without waiting for long

sub open_of {
    my ($agent) = @_;
    my $frame = $agent->read(timeout => 0.05);
    return $frame && $frame->{type} eq 'OPEN' ? $agent : undef;
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
