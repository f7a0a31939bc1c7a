#!/usr/bin/perl

# trp_reverse_weight: the reverses of a group share the connections in
# proportion to their weights.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

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

    log_format trp "$trp_status";
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

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:22 bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

serve($reverse, port(8090 + $_), 'hello', data => "$_\n") for 1 .. 3;

# an agent without an idle tunnel is no choice: each has enough of them

my $idle = 24;

configure($reverse, $idle, 1, 2, 5);

$relay->run();
$reverse->run();
$entry->run()->plan(7 + 4);

ok(wait_log($relay, qr/reverse ".*" .* has a tunnel/, count => 3 * $idle),
    'tunnels');

# all are idle whenever a user comes

my $done = 0;

shares([ map { one($relay, ++$done) } 1 .. 32 ], [ 4, 8, 20 ],
    'one after the other');

# nobody goes

my @open = map { user() } 1 .. 16;
is(count([ map { $_->{answer} } @open ]), '2 4 10', 'least connections');

close $_->{socket} for @open;
$done += 16;
ok(wait_log($relay, qr/^ok$/, count => $done, file => 'access.log'), 'closed');

# the same three, configured anew

configure($reverse, $idle, 3, 2, 1);
ok(reload_and_wait($reverse), 'reload');
ok(wait_log($relay, qr/reverse ".*" .* has a tunnel/, count => 6 * $idle),
    'new tunnels');

@open = map { user() } 1 .. 12;
is(count([ map { $_->{answer} } @open ]), '6 4 2', 'other weights');


sub configure {
    my ($t, $idle, @weights) = @_;
    my $servers = join '', map { my $port = 8090 + $_; <<"EOC" } 1 .. 3;
    server {
        trp_reverse relay;
        trp_reverse_name r$_;
        trp_reverse_weight $weights[$_ - 1];
        proxy_pass 127.0.0.1:$port;
    }

EOC

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_key reverse;
    trp_reverse_pool idle=$idle;
    trp_reverse_ssl_trusted_certificate localhost.crt;

$servers}

EOC
}


# a user who has come and gone, and his tunnels are free again

sub one {
    my ($t, $count) = @_;

    my $user = user();
    close $user->{socket};
    wait_log($t, qr/^ok$/, count => $count, file => 'access.log')
        or die "the stream has not ended\n";

    return $user->{answer};
}


sub user {
    my $s = connect_to(port(8080));
    my $answer = <$s>;

    chomp($answer = defined $answer ? $answer : 'none');
    return { socket => $s, answer => $answer };
}


sub count {
    my ($answers) = @_;
    my %n = map { $_ => 0 } 1 .. 3;

    $n{$_}++ for @$answers;
    return join ' ', map { $n{$_} } sort keys %n;
}


# in proportion, but for one that may be due next

sub shares {
    my ($answers, $shares, $name) = @_;
    my @n = split / /, count($answers);

    my @off = grep { abs($n[$_] - $shares->[$_]) > 1 } 0 .. 2;
    ok(@n == 3 && !@off, $name) or diag("@n, and not @$shares");
}
