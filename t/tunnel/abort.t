#!/usr/bin/perl

# Tests for aborts: a reset of one side is a reset of the other one, not an
# end, and costs no tunnel.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8433);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format status "$trp_status $status";
    access_log %%TESTDIR%%/stream.log status;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=3 max=3;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:%%PORT_8093%% bind=127.0.0.1;
        trp_route %%PORT_8084%%:%%PORT_8094%% bind=127.0.0.1;
        trp_route %%PORT_8085%%:%%PORT_8095%% bind=127.0.0.1;
        trp_route %%PORT_8089%%:%%PORT_8099%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8086%%:%%PORT_8090%% bind=127.0.0.1;

        proxy_half_close on;
        proxy_timeout 300ms;
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

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=3 max=3;
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo', record => 'echo.log');
serve($reverse, port(8091), 'flood', record => 'flood.log',
    bytes => 8_000_000);
serve($reverse, port(8092), 'reset');
serve($reverse, port(8093), 'reset', after => 100_000);
serve($reverse, port(8095), 'later', until => 'go', record => 'later.log');
$reverse->run_daemon(\&answers, listener(port(8094)));

$relay->run();
$reverse->run();
$entry->run()->plan(23 + 2 * 2);

my %user = (
    'idle' => \&user_idle,
    'while uploading' => \&user_uploads,
    'while downloading' => \&user_downloads,
);

my %destination = (
    'idle' => \&destination_idle,
    'at once' => sub { end_of(connect_to(port(8082))) },
    'after data' => \&destination_answers,
    'while the user uploads' => \&destination_uploads,
    'that refuses' => sub { end_of(connect_to(port(8089))) },
);

my %count;

is($user{$_}->(), 'reset', "user, $_") for sort keys %user;
is($destination{$_}->(), 'reset', "destination, $_")
    for sort keys %destination;

# the proxy is tired of both

my $s = connect_to(port(8086));
is(talk($s), 'SEE', 'echo');
is(end_of($s), 'reset', 'timeout for the user');
is(recorded('echo.log'), 'reset', 'timeout for the destination');

# all that again, and again

my @wrong;

for (1 .. 10) {
    for my $kinds (\%user, \%destination) {
        for my $kind (sort keys %$kinds) {
            my $end = $kinds->{$kind}->();
            push @wrong, "$kind: $end" if $end ne 'reset';
        }
    }
}

is("@wrong", '', 'the same');

# the tunnels are those of the beginning, and are good; more than 16 MiB that
# nobody wants would cost them

is(count_log($relay, qr/has a tunnel/), 6, 'tunnels');
is(count_log($relay, qr/closed tunnel|tunnel timed out/), 0, 'lost tunnels');

my $result = transfer(connect_to(port(8080)), 1_000_000);
is($result->{received_sha}, $result->{sent_sha}, 'transfer');
is($result->{end}, 'eof', 'end of transfer');

is(recorded('echo.log'), 'eof', 'end of transfer for the destination');

# 8 kinds, 11 times, the timeout, and the transfer that has just ended well

wait_log($entry, qr/./, file => 'stream.log', count => 90);
is(count_log($entry, qr/^ok 200$/, file => 'stream.log'), 1, 'status ok');
is(count_log($entry, qr/^(?:aborted|refused 502)/, file => 'stream.log'), 89,
    'status of all others');
cmp_ok(count_log($entry, qr/^refused 502$/, file => 'stream.log'), '>=', 11,
    'status refused');

# A destination that reads nothing cannot see it yet.  It does when it comes
# to the end of what the user has sent.

$s = connect_to(port(8085));
my $sent = fill($s);
abort($s);

$reverse->write_file('go', '');
ok(wait_log($reverse, qr/ reset$/, file => 'later.log'), 'stalled destination');
is(count_log($reverse, qr/ eof$/, file => 'later.log'), 0, 'no clean end');

$reverse->read_file('later.log') =~ /^(\d+)/;
ok(defined $1 && $1 <= $sent, 'no more than was sent');


# what the destination sees when the user aborts

sub user_idle {
    my $s = connect_to(port(8080));

    return 'no answer' if talk($s) ne 'SEE';
    abort($s);
    return recorded('echo.log');
}


sub user_uploads {
    my $s = connect_to(port(8081));

    print $s 'x' x 1_000_000;
    abort($s);
    return recorded('flood.log');
}


sub user_downloads {
    my $s = connect_to(port(8081));

    read($s, my $data, 1_000_000);
    abort($s);
    return recorded('flood.log');
}


# what the user sees when the destination aborts

sub destination_idle {
    my $s = connect_to(port(8083));

    print $s 'x' x 99_999;
    print $s 'x';
    return end_of($s);
}


sub destination_answers {
    my $s = connect_to(port(8084));

    print $s 'answer';
    return end_of($s);
}


sub destination_uploads {
    my $s = connect_to(port(8083));

    return defined fill($s, 8_000_000) ? end_of($s) : 'reset';
}


sub talk {
    my ($s) = @_;

    print $s 'SEE';
    read($s, my $data, 3);
    return $data;
}


# the end of the next connection in the records

sub recorded {
    my ($file) = @_;
    my $count = ++$count{$file};

    wait_log($reverse, qr/./, file => $file, count => $count);
    my @lines = served($reverse, $file);
    return @lines == $count ? (split ' ', $lines[-1])[2] : 'lines: ' . @lines;
}


# resets behind its answer

sub answers {
    my ($listener) = @_;

    while (my $s = $listener->accept()) {
        sysread($s, my $data, 6);
        syswrite $s, 'no';
        abort($s);
    }
}
