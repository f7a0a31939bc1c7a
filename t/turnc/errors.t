#!/usr/bin/perl

# Tests for SOCKS5 in front of TURN servers that refuse, forget, lie or die.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream /);

# Each case has a server of its own; what it does, from the how manieth request
# of a method on; the replies to clients, one after the other; what the server
# has seen in the end, and how many times.  "second" is a good one behind it.

sub once { my ($what) = @_; return sub { $_[0] == 1 ? $what : undef } }
sub always { my ($what) = @_; return sub { $what } }

my $good = '127.0.0.1:' . port(8199);

my @cases = (
    [ 'a good server', '0 0', on => {},
        seen => { 'allocate 0' => 1, 'connect 0' => 2 } ],

    # credentials and nonces

    [ 'wrong password', '1', password => 'other', log => qr/40[01]/,
        seen => { 'allocate 0' => 0 } ],
    [ 'unknown user', '1', user => 'other', log => qr/401/ ],
    [ '438 to Allocate', '0', on => { allocate => once(438) } ],
    [ '438 to Connect', '0 0', on => { connect => once(438) } ],
    [ '438 to ConnectionBind', '0 0', on => { connectionbind => once(438) },
        seen => { 'allocate 0' => 1 } ],
    [ '438 always', '1', on => { allocate => always(438) }, log => qr/438/ ],

    # the server has no room, or the allocation is gone

    [ 'code 486', '1', on => { allocate => always(486) }, log => qr/486/ ],
    [ 'code 508', '1', on => { allocate => always(508) }, log => qr/508/ ],
    [ '486, and a second server', '0 0', on => { allocate => always(486) },
        second => 1 ],
    [ '508, and a second server', '0 0', on => { allocate => always(508) },
        second => 1 ],
    [ '437 to Connect', '0 0', on => { connect => once(437) },
        seen => { 'allocate 0' => 2 } ],
    [ '437 to Refresh', '0 0 0', on => { refresh => once(437) },
        lifetime => 2, lost => 2, seen => { 'allocate 0' => '2+' } ],

    # peers

    [ 'code 403', '2', on => { connect => always(403) }, log => qr/403/ ],
    [ 'code 447', '5', on => { connect => always(447) }, log => qr/447/ ],
    [ '446 once', '0', on => { connect => once(446) },
        seen => { 'allocate 0' => 2 } ],
    [ '446 always', '1', on => { connect => always(446) },
        log => qr/446|none of / ],
    [ '400 to ConnectionBind', '1', on => { connectionbind => always(400) },
        log => qr/ConnectionBind: 400/ ],

    # what is behind the answer, at once

    [ 'data behind ConnectionBind', '0', after_bind => 'hello',
        first => 'hello' ],

    # servers that break

    [ 'ends with Allocate', '1', on => { 'allocate/any' => always('close') },
        log => qr/closed connection/ ],
    [ 'resets with Allocate', '1', on => { allocate => always('reset') } ],
    [ 'garbage for Allocate', '1', on => { allocate => always('garbage') } ],
    [ 'ends with Connect, once', '0 0', on => { connect => once('close') },
        seen => { 'allocate 0' => 2 } ],
    [ 'ends with ConnectionBind', '1',
        on => { connectionbind => always('close') } ],
    [ 'garbage for ConnectionBind', '1',
        on => { connectionbind => always('garbage') } ],
    [ 'answers without integrity', '1', on => { allocate =>
        always('unsigned') } ],
    [ 'answers with another integrity', '1', on => { allocate =>
        always('forged') } ],
    [ 'Connect with another integrity', '[16]', on => { connect =>
        always('forged') } ],
    [ 'is not there', '1', dead => 1 ],
    [ 'is not there, and a second server', '0 0', dead => 1, second => 1 ],
    [ 'ends, and a second server', '0 0', second => 1,
        on => { 'allocate/any' => always('close') } ],
    [ 'garbage, and a second server', '0 0', second => 1,
        on => { 'allocate/any' => always('garbage') } ],
    [ 'does not answer, and a second server', '0 0', second => 1,
        on => { 'allocate/any' => always('drop') } ],
    [ 'ConnectionBind fails, and a second server', '0', second => 1,
        on => { connectionbind => always(400) } ],

    # to another server, and in a circle

    [ 'code 300', '0 0', on => { 'allocate/any' => always([ 300,
        'alternate-server' => $good ]) } ],
    [ '300, signed', '0 0', on => { allocate => always([ 300,
        'alternate-server' => $good ]) } ],
    [ '300 to itself', '1', on => { allocate => sub { [ 300,
        'alternate-server' => "127.0.0.1:$_[3]" ] } },
        seen => { 'allocate 300' => '1-6' } ],
    [ '300 to nowhere', '1', on => { allocate => always([ 300,
        'alternate-server' => '127.0.0.1:' . port(8098) ]) } ],
    [ '300 without an address', '1', on => { allocate => always(300) } ],
);

$t->write_file_expand('nginx.conf', <<'EOC' . servers() . "}\n");

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

EOC

# any address of 127.0.0.0/8 is a peer

serve_on($t, IO::Socket::INET->new(Listen => 100, LocalAddr => '0.0.0.0',
    LocalPort => port(8090), ReuseAddr => 1) || die("no peer: $!\n"), 'echo');


fake_turn($t, port(8199), name => 'good');

for my $i (0 .. $#cases) {
    my ($name, $replies, %opts) = @{$cases[$i]};

    fake_turn($t, port(8200 + $i), name => "server$i", %opts) if !$opts{dead};
}

$t->run()->plan(2 * @cases + checks() + 5);

for my $i (0 .. $#cases) {
    my ($name, $replies, %opts) = @{$cases[$i]};
    my $server = '127.0.0.1:' . port(8300 + $i);
    my (@clients, @all);

    for my $n (1 .. split ' ', $replies) {

        # the allocation is lost, and all connections with it

        if ($n > ($opts{lost} || 99)) {
            wait_log($t, qr/refresh 437/, file => "server$i.log");
            like(end_of($_->socket()), qr/^(?:eof|reset)$/, "$name: end")
                for splice @clients;
        }

        push @clients, socks(port(8300 + $i), "127.0.0.$n:" . port(8090));
        push @all, $clients[-1];
    }

    my $all = join ' ', map { defined $_->rep() ? $_->rep() : $_->end() }
        @all;
    like($all, qr/^$replies$/, $name);

    my @connected = grep { defined $_->rep() && $_->rep() == 0 } @clients;
    my $first = $opts{first} || '';

    is(grep({ $_->read(length $first) eq $first && $_->echo('SEE') eq 'SEE' }
        @connected), @connected, "$name: echo");

    ok(wait_log($t, qr/\[(?:info|error)\].*$opts{log}.*(?:server|TURN server): /
        . qr/127\.0\.0\.1:(?:${\port(8300 + $i)}|${\port(8200 + $i)})/),
        "$name: a line") if $opts{log};

    for my $what (sort keys %{$opts{seen} || {}}) {
        my $count = count_log($t, qr/ $what\b/, file => "server$i.log");
        my ($min, $max) = $opts{seen}->{$what} =~ /^(\d+)(?:-(\d+))?/;

        $max = $opts{seen}->{$what} =~ /\+$/ ? 1e9 : $min if !defined $max;
        ok($count >= $min && $count <= $max, "$name: $what")
            or diag("$count times");
    }

    $_->close() for @clients;
}

# one that fails takes nobody with it

my $c = socks(port(8300), '127.0.0.9:' . port(8090));
my @failed = map { socks(port(8300), "127.0.0.$_:" . port(8091)) } 1 .. 10;

is(join(' ', map { $_->rep() } @failed), join(' ', (5) x 10), 'refused');
is($c->echo('SEE'), 'SEE', 'the others go on');
is(socks(port(8300), '127.0.0.8:' . port(8090))->rep(), 0, 'and new ones');
is(count_log($t, qr/ allocate 0/, file => 'server0.log'), 1,
    'all of them with one allocation');
is(count_log($t, qr/\[alert\]/), 0, 'no alerts');


sub checks {
    my $n = 0;

    for my $case (@cases) {
        my ($name, $replies, %opts) = @$case;
        $n += ($opts{log} ? 1 : 0) + ($opts{lost} || 0) + keys %{$opts{seen} || {}};
    }

    return $n;
}


sub servers {
    return join '', map { server($_) } 0 .. $#cases;
}


sub server {
    my ($i) = @_;
    my ($name, $replies, %opts) = @{$cases[$i]};
    my $second = $opts{second} ? 'server 127.0.0.1:8199;' : '';

    return <<"EOC";
    upstream turn$i {
        server 127.0.0.1:${\(8200 + $i)};
        $second
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
        trp_turn_client_connect_timeout 1s;
    }

    server {
        listen 127.0.0.1:${\(8300 + $i)};
        trp_socks5;
        proxy_half_close on;
        proxy_pass turn$i;
    }

EOC
}
