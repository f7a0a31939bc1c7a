#!/usr/bin/perl

# Tests for many connections by way of a TURN server: one allocation serves
# many peers, and as many allocations as may be serve one peer.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::SOCKS;

my $turn = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();

turn_conf($turn);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format socks "$server_port $trp_status $status";
    access_log %%TESTDIR%%/access.log socks;

    upstream sixteen {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_user alice:secret;
        trp_turn_client_allocations 16;
    }

    upstream one {
        server 127.0.0.1:%%PORT_8478%%;
        trp_turn_client tcp;
        trp_turn_client_secret north;
        trp_turn_client_allocations 1;
    }

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass sixteen;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        proxy_half_close on;
        proxy_pass one;
    }
}

EOC

trp_cert($turn);

# any address of 127.0.0.0/8 is a peer

serve_on($entry, IO::Socket::INET->new(Listen => 500, LocalAddr => '0.0.0.0',
    LocalPort => port(8090), ReuseAddr => 1) || die("no peer: $!\n"), 'echo');

$turn->run();
$entry->run()->plan(20 + 2);

my $same = '127.0.0.1:' . port(8090);

# 100 clients, who all ask before anybody has an answer, for one peer

my @clients = many(8080, ($same) x 100);
my @good = grep { $_->rep() == 0 } @clients;

is(@good, 16, 'one connection for each allocation');
is(join(' ', map { "$_->{rep} $_->{end}" } grep { $_->rep() } @clients),
    join(' ', ('1 eof') x 84), 'the others hear of it');
is(addresses(@good), 16, 'from as many addresses');
is(echoes(@good), 16, 'echo');
ok(wait_log($entry, qr/\[error\].* none of 16 allocations on TURN server \S+ /
    . qr/is free for this destination.*"trp_turn_client_allocations".*/
    . qr/client: 127\.0\.0\.1/, count => 84), 'lines');
ok(wait_log($entry, qr/^${\port(8080)} over the limit 50\d$/, count => 84,
    file => 'access.log'), 'status');

# other peers go by the same allocations

my @others = many(8080, map { "127.0.1.$_:" . port(8090) } 1 .. 100);
is(grep({ $_->rep() == 0 } @others), 100, '100 peers');
is(addresses(@good, @others), 16, 'from the same addresses');
is(echoes(@good, @others), 116, 'all of them');

# one that ends makes room for another one

(shift @good)->close();
my $c;
ok(wait_for(sub {
    $c = socks(port(8080), $same);
    return $c->rep() == 0;
}), 'room for another one');
is($c->echo('SEE'), 'SEE', 'which is good');

# one after the other needs no other allocation

close_all(@clients, @others, $c);
@good = @clients = @others = ();
wait_for(sub { !tcp_count(port(8080)) });

my $good = 0;

for (1 .. 50) {
    my $c = socks(port(8080), $same);
    my $result = transfer($c->socket(), 10_000);

    $good++ if $result->{end} eq 'eof'
        && $result->{received_sha} eq $result->{sent_sha};
}

is($good, 50, 'one after the other');

# one allocation

@clients = many(8081, map { "127.0.2.$_:" . port(8090) } 1 .. 100);
is(grep({ $_->rep() == 0 } @clients), 100, 'one allocation, 100 peers');
is(addresses(@clients), 1, 'from one address');
is(echoes(@clients), 100, 'all of them');
is(socks(port(8081), '127.0.2.1:' . port(8090))->rep(), 1,
    'no second connection to a peer');
close_all(@clients);

ok(wait_for(sub { counters() =~ /^\d+ 17$/ }), 'no more allocations');
is(count_log($turn, qr/\[(?:error|alert)\]/), 0, 'no errors of the server');

# nobody is left

ok(wait_for(sub { !tcp_count(port(8080)) && !tcp_count(port(8081)) }),
    'clients have gone');
ok(wait_for(sub { tcp_count(port(8478)) <= 17 }), 'their connections, too');


# all requests are sent before the first reply is read

sub many {
    my ($port, @to) = @_;
    my @all = map { socks(port($port), $_, stop => 'auth') } @to;

    $_->write(socks_request($_->{to})) for @all;
    $_->reply() for @all;
    return @all;
}


sub addresses {
    my %seen = map { $_->bnd() => 1 } @_;
    return scalar keys %seen;
}


sub echoes {
    return scalar grep { $_->echo("hello $_") eq "hello $_" } @_;
}


sub close_all {
    $_->close() for grep { $_->socket() } @_;
}


sub counters {
    my $s = connect_to(port(8480));
    return scalar <$s>;
}
