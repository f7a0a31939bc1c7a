#!/usr/bin/perl

# Tests for UDP ASSOCIATE in front of TURN servers that refuse, forget, lose
# messages or die.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::FakeTURN;
use Test::Nginx::TRP::SOCKS;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ stream udp /);

sub once { my ($what) = @_; return sub { $_[0] == 1 ? $what : undef } }
sub always { my ($what) = @_; return sub { $what } }

# Each case has a server of its own; what it does; what it has seen in the
# end, and how many times at least.  "none": there is no answer.  "then": what
# it has to see before there are more answers.

my @cases = (
    [ 'a good server', on => {}, seen => { 'allocate 0' => 1,
        'channelbind 0' => 2 }, then => 'channelbind 0',
        behind => 'channel \d' ],
    [ '438 to Allocate', on => { allocate => once(438) } ],
    [ '438 to ChannelBind', on => { channelbind => once(438) },
        then => 'channelbind 0', behind => 'channel \d' ],
    [ '438 to Refresh', on => { refresh => once(438) }, lifetime => 2,
        then => 'refresh 0', seen => { 'allocate 0' => 1 } ],

    # messages that are lost

    [ 'Allocate is lost', on => { 'allocate/any' => once('drop') } ],
    [ 'ChannelBind is lost', on => { channelbind => once('drop') },
        then => 'channelbind 0', behind => 'channel \d' ],
    [ 'garbage', on => { allocate => once('garbage') } ],
    [ 'forged', on => { allocate => once('forged') } ],

    # no channels are no reason to drop anything

    [ 'no channels', on => { channelbind => always(400) },
        then => 'channelbind 400', behind => 'send \d' ],
    [ 'channels over quota', on => { channelbind => always(508) },
        then => 'channelbind 508', behind => 'send \d' ],

    [ '438 to CreatePermission', on => { channelbind => always(508),
        createpermission => once(438) }, behind => 'send \d' ],
    [ 'CreatePermission is lost', on => { channelbind => always(508),
        createpermission => once('drop') }, behind => 'send \d' ],

    # the allocation is lost

    [ '437 to Refresh', on => { refresh => once(437) }, lifetime => 2,
        then => 'refresh 437', behind => 'allocate 0' ],
    [ '437 to CreatePermission', on => { channelbind => always(508),
        createpermission => once(437) }, seen => { 'allocate 0' => 2 } ],
    [ '437 to ChannelBind', on => { channelbind => once(437) },
        then => 'channelbind 437', behind => 'allocate 0' ],

    # no way

    [ 'code 403', on => { createpermission => always(403),
        channelbind => always(403) }, none => 1, log => qr/403/ ],
    [ 'code 486', on => { allocate => always(486) }, none => 1,
        log => qr/486/ ],
    [ 'wrong password', password => 'other', none => 1, log => qr/40[01]/ ],

    # another server

    [ '486, and a second server', on => { allocate => always(486) },
        second => 1 ],
    [ '508, and a second server', on => { allocate => always(508) },
        second => 1 ],
    [ 'does not answer, and a second server', second => 1,
        on => { 'allocate/any' => always('drop') } ],
    [ 'code 300', on => { 'allocate/any' => always([ 300, 'alternate-server' =>
        '127.0.0.1:' . port(8199, udp => 1) ]) } ],
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

my @peers = map { turn_peer('127.0.0.1') } 1, 2;
my @to = map { peer_addr($_) } @peers;

$t->run_daemon(\&echo_datagrams, $_) for @peers;

fake_turn($t, port(8199, udp => 1), udp => 1, name => 'good');

for my $i (0 .. $#cases) {
    my ($name, %opts) = @{$cases[$i]};
    fake_turn($t, port(8200 + $i, udp => 1), udp => 1, name => "server$i",
        %opts);
}

$t->run()->plan(checks() + 2);

for my $i (0 .. $#cases) {
    my ($name, %opts) = @{$cases[$i]};
    my $u = socks_udp(port(8300 + $i), timeout => 15);

    if ($opts{none}) {
        $u->send_to($to[0], 'hello') if $u->udp();
        ok(wait_log($t, qr/\[(?:info|error|warn)\].*$opts{log}.*server: /
            . qr/127\.0\.0\.1:(?:${\port(8300 + $i)}|${
            \port(8200 + $i, udp => 1)})/), "$name: a line");
        ok(!$u->udp() || !$u->receive(0.1), "$name: no answer");
        $u->close();
        next;
    }

    # who has ended comes again

    $u = socks_udp(port(8300 + $i))
        if $opts{second} && answer($u, $to[0]) =~ /^no /
            && $u->end_of() ne 'timeout';

    is(answer($u, $to[0]), "hello $to[0]", $name);
    is(answer($u, $to[1]), "hello $to[1]", "$name: another peer");

    if ($opts{then}) {
        ok(wait_log($t, qr/ $opts{then}\b/, file => "server$i.log"),
            "$name: $opts{then}");
        is(answer($u, $to[0]), "hello $to[0]", "$name: afterwards");
    }

    # some message of its own kind, sooner or later

    ok(wait_for(sub {
        answer($u, $to[1]);
        return count_log($t, qr/ $opts{behind}/, file => "server$i.log")
            > ($opts{behind} =~ /allocate/ ? 1 : 0);
    }), "$name: $opts{behind}") if $opts{behind};

    for my $what (sort keys %{$opts{seen} || {}}) {
        cmp_ok(count_log($t, qr/ (?:$what)\b/, file => "server$i.log"), '>=',
            $opts{seen}->{$what}, "$name: $what");
    }

    $u->close();
}

is(count_log($t, qr/ allocate 0/, file => 'server0.log'), 1,
    'one allocation for all');
is(count_log($t, qr/\[alert\]/), 0, 'no alerts');


# Datagrams may get lost while the allocation is another one.

sub answer {
    my ($u, $to) = @_;

    return 'reply ' . (defined $u->rep() ? $u->rep() : $u->end())
        if !$u->udp();

    my $m = $u->ask($to, "hello $to", rto => 0.5) or return 'no answer';

    while ($m && $m->{from} ne $to) {
        $m = $u->receive(5);
    }

    return $m ? $m->{data} : 'an answer from elsewhere';
}


sub checks {
    my $n = 0;

    for my $case (@cases) {
        my ($name, %opts) = @$case;
        $n += 2 + ($opts{then} ? 2 : 0) + ($opts{behind} ? 1 : 0)
            + keys %{$opts{seen} || {}};
    }

    return $n;
}


sub servers {
    return join '', map { server($_) } 0 .. $#cases;
}


sub server {
    my ($i) = @_;
    my ($name, %opts) = @{$cases[$i]};
    my $second = $opts{second} ? 'server 127.0.0.1:%%PORT_8199_UDP%%;' : '';

    return <<"EOC";
    upstream turn$i {
        server 127.0.0.1:%%PORT_${\(8200 + $i)}_UDP%%;
        $second
        trp_turn_client;
        trp_turn_client_user alice:secret;
        trp_turn_client_connect_timeout 2s;
    }

    server {
        listen 127.0.0.1:${\(8300 + $i)};
        trp_socks5;
        proxy_pass turn$i;
    }

EOC
}
