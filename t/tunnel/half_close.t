#!/usr/bin/perl

# Tests for half-closed connections: one side has sent all it has to send, and
# still gets all that the other one sends.

use strict;
use warnings;

use Test::More;

use Digest::SHA qw/ sha256_hex /;

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

    log_format status "$trp_status $bytes_received $bytes_sent";
    access_log %%TESTDIR%%/stream.log status;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2 max=2;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;

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

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2 max=2;
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
serve($reverse, port(8091), 'half', record => 'half.log',
    data => 'x' x 100_000);
$reverse->run_daemon(\&answers_late, listener(port(8092)));

$relay->run();
$reverse->run();
$entry->run()->plan(20 + 2 * 2);

# the user is first, and the answer depends on his FIN

my $size = 3_000_000;
my $s = connect_to(port(8082));

print $s "$size\n";
shutdown $s, 1;

my ($bytes, $digest, $end) = drain($s);
is("$bytes $end", "$size eof", 'answer after FIN');
is($digest, sha256_hex('a' x $size), 'digest of answer after FIN');

my $result = transfer(connect_to(port(8080)), $size);
is("$result->{sent} $result->{received} $result->{end}", "$size $size eof",
    'echo');
is($result->{received_sha}, $result->{sent_sha}, 'digest of echo');
is($result->{tail}, "$size $result->{sent_sha}\n", 'tail after FIN');

# the destination is first

$s = connect_to(port(8081));

is(join(' ', (drain($s))[0, 2]), '100000 eof', 'all of the destination');

$result = upload($s, $size);
shutdown $s, 1;

ok(wait_log($reverse, qr/./, file => 'half.log'), 'destination has ended');
is((served($reverse, 'half.log'))[0], "$size $result eof", 'all of the user');

# the same, and the user ends with a reset

$s = connect_to(port(8081));

is((drain($s))[2], 'eof', 'the destination again');
upload($s, 10);
abort($s);

ok(wait_log($reverse, qr/^10 .* reset$/, file => 'half.log'),
    'reset after the end of the other direction');

# the user has ended, and the destination resets

$s = connect_to(port(8082));

print $s "reset\n";
shutdown $s, 1;
is((drain($s))[2], 'reset', 'reset of a half-closed connection');

# both at once, without a byte

$s = connect_to(port(8080));
shutdown $s, 1;
is((drain($s))[2], 'eof', 'FIN alone');
ok(wait_log($reverse, qr/^0 \S+ eof$/, file => 'echo.log'),
    'nothing, then FIN');

# one after the other on the same tunnels: they are idle again each time

my $ended = 0;

for (1 .. 20) {
    $s = connect_to(port(8082));
    print $s "20000\n";
    shutdown $s, 1;
    $ended++ if join(' ', (drain($s))[0, 2]) eq '20000 eof';
}

is($ended, 20, 'short ones');
is(count_log($relay, qr/has a tunnel/), 4, 'tunnels');

wait_log($entry, qr/./, file => 'stream.log', count => 26);
is(count_log($entry, qr/./, file => 'stream.log'), 26, 'lines');
is(count_log($entry, qr/^aborted /, file => 'stream.log'), 2, 'aborted');
is(count_log($entry, qr/^ok /, file => 'stream.log'), 24, 'not aborted');
is(count_log($entry, qr/^ok 8 $size$/, file => 'stream.log'), 1, 'answer');
is(count_log($entry, qr/^ok $size 100000$/, file => 'stream.log'), 1, 'upload');


# the digest of what was sent

sub upload {
    my ($s, $size) = @_;
    my $data = join('', map { chr($_ % 251) } 1 .. 251) x (1 + $size / 251);

    $data = substr $data, 0, $size;
    print $s $data or return "can't send: $!";
    return sha256_hex($data);
}


# reads until FIN what to do: send so many bytes, or reset

sub answers_late {
    my ($listener) = @_;

    while (my $s = $listener->accept()) {
        my $request = do { local $/; <$s> };

        if ($request =~ /reset/) {
            abort($s);
            next;
        }

        print $s 'a' x $request;
        close $s;
    }
}
