#!/usr/bin/perl

# A reverse that refuses is passed over: for that connection, and the longer
# the more often it has refused in a row, until it accepts again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use Time::HiRes qw/ time /;

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_group $trp_status $trp_stream_id";
    access_log %%TESTDIR%%/access.log trp;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

# a: one of two refuses; b: all do; c: one does not answer

$entry->write_file_expand('nginx.conf', <<'EOC' . upstreams() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_group $trp_status $trp_stream_id";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC' . servers() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    upstream relay {
        server 127.0.0.1:8443;
    }

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

serve($relay, port(8091), 'hello', data => "good\n");
my $full = full_listener(port(8094));

$relay->run();
$reverse->run();
$entry->run()->plan(16 + 4);

ok(wait_log($relay, qr/reverse ".*" .* has a tunnel/, count => 4 * 7),
    'tunnels');

# everybody is served; the pauses of the bad one are a second long, then two,
# never shorter

my $refused = qr/reverse "bad" .* refused .*: refused, .*group: "a"/;
my (@before, @after, @answers);

while (@after < 3 && @answers < 100_000) {
    my $before = time();
    push @answers, answer(8081);

    next if count_log($relay, $refused) == @after;
    push @before, $before;
    push @after, time();
}

is(count_log($relay, $refused), 3, 'asked again and again');
is((grep { $_ ne 'good' } @answers), 0, 'every user is served');

my @pauses = map { $after[$_ + 1] - $before[$_] } 0 .. 1;

cmp_ok($pauses[$_], '>', 2 ** $_ - 0.1, "pause $_") for 0 .. 1;

ok(wait_log($_, qr/^a ok /, file => 'access.log', count => scalar @answers),
    'a line for each') for $relay, $entry;
is(count_log($relay, qr/^a /, file => 'access.log'), @answers, 'and no other');

# it is asked once more, and accepts

serve($relay, port(8092), 'hello', data => "bad\n");

ok(wait_for(sub { answer(8081) eq 'bad' }), 'accepts');

my @users = map { connect_to(port(8081)) } 1 .. 4;
is(join('', sort map { scalar readline $_ } @users), "bad\nbad\ngood\ngood\n",
    'has its share');

# nobody is there who accepts

is(join(' ', map { end_of(connect_to(port(8082))) } 1 .. 3),
    'reset reset reset', 'all refuse');
ok(wait_log($relay, qr/^b refused /, count => 3, file => 'access.log'),
    'a line for each');

my %asked = asked($relay, qr/ refused ".*": refused, .*group: "b"/);

is((grep { $_ > 1 } values %asked), 0, 'each is asked once') or diag(%asked);

# a user who goes away has not been refused

my $before = dialling(port(8094));
my $s = connect_to(port(8083));
ok(wait_for(sub { dialling(port(8094)) > $before }), 'is being dialled');
abort($s);

ok(wait_log($relay, qr/^c \w+ /, file => 'access.log'), 'user has gone');
is(count_log($relay, qr/ refused .*group: "c"/), 0, 'not refused');


# how often each stream was refused by each reverse

sub asked {
    my ($t, $re) = @_;
    my %n;

    for (split /\n/, $t->read_file('error.log')) {
        $n{"$1 $2"}++ if $_ =~ $re && /(\S+) \(.*?stream: (\w+)/;
    }

    return %n;
}


sub answer {
    my ($port) = @_;

    my $s = connect_to(port($port));
    my $line = <$s>;

    chomp($line = defined $line ? $line : 'none');
    return $line;
}


sub upstreams {
    my %ports = (a => 8081, b => 8082, c => 8083);

    return join '', map { my $port = $ports{$_}; <<"EOC" } sort keys %ports;
    upstream $_ {
        server 127.0.0.1:%%PORT_8443%%;
        trp_entry;
        trp_entry_key entry;
        trp_entry_group $_;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_$port%%:22 bind=127.0.0.1;
        proxy_pass $_;
    }

EOC
}


# group, name, port of the destination

sub servers {
    my @servers = (
        [ 'a', 'good', 8091 ], [ 'a', 'bad', 8092 ],
        [ 'b', 'b1', 8093 ], [ 'b', 'b2', 8093 ], [ 'b', 'b3', 8093 ],
        [ 'c', 'slow', 8094 ], [ 'c', 'slower', 8094 ],
    );

    return join '', map { my ($group, $name, $port) = @$_; <<"EOC" } @servers;
    server {
        trp_reverse relay;
        trp_reverse_group $group;
        trp_reverse_name $name;
        proxy_pass 127.0.0.1:$port;
    }

EOC
}
