#!/usr/bin/perl

# Tests for users who come while nobody is there to serve them: with
# trp_entry_unavailable "reset" they are refused at once, whether the relay is
# away or it has no reverse of the group, and served when both are there.

use strict;
use warnings;

use Test::More;

use IO::Select;

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

    error_log %%TESTDIR%%/error.log info;

    log_format status "$server_port $trp_status $status";
    access_log %%TESTDIR%%/access.log status;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
        trp_entry_unavailable reset;
    }

    upstream waits {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass waits;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        proxy_pass relay;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_shutdown_timeout 100ms;

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
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8090), 'echo');

# no relay: who comes ahead of the first failure is told then

$entry->run()->plan(18 + 2 * 2);

is(end_of(connect_to(port(8080)), 10), 'reset', 'no relay');
is(end_of(connect_to(port(8080)), 10), 'reset', 'no relay, once more');
is(socks(), '050005010001000000000000 eof', 'no relay, SOCKS5');

my $patient = connect_to(port(8081));
is(end_of($patient, 1), 'timeout', 'others wait');

# a relay without a reverse of the group

$relay->run();

ok(wait_log($entry, qr/tunnel is ready/, count => 2), 'tunnels');
ok(wait_for(\&refused), 'no reverse');
is(socks(), '050005010001000000000000 eof', 'no reverse, SOCKS5');
is(end_of($patient, 1), 'timeout', 'others wait');

# all is there

$reverse->run();

ok(wait_for(\&serves), 'served');
is(join(' ', @{transfer($patient, 1000)}{qw/ received end /}),
    '1000 eof', 'who has waited is served');

# a reload of the reverse is nothing that somebody should notice

my $before = count_log($entry, qr/no agent/, file => 'access.log');

reload_and_wait($reverse);
is(grep({ serves() } 1 .. 20), 20, 'reload of the reverse');

reload_and_wait($relay);
is(grep({ serves() } 1 .. 20), 20, 'reload of the relay');

is(count_log($entry, qr/no agent/, file => 'access.log'), $before,
    'nobody was refused');

# a tunnel that is busy when the last reverse goes learns of that afterwards

my $busy = connect_to(port(8080));
syswrite $busy, 'x';
sysread $busy, my $x, 1;

$reverse->stop();
is(end_of($busy), 'reset', 'busy');
ok(wait_for(\&refused), 'the reverse has gone');

$relay->stop();
ok(wait_for(\&refused), 'so has the relay');

$relay->run();
$reverse->run();
ok(wait_for(\&serves), 'both are back');
ok(serves() && serves(), 'they stay');


sub refused {
    return end_of(connect_to(port(8080)), 1) eq 'reset';
}


sub serves {
    return visit(port(8080), timeout => 10);
}


# what a SOCKS5 client gets

sub socks {
    my $s = connect_to(port(8082));
    my $answers = '';

    syswrite $s, pack 'C3 C3 C C4 n', 5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1,
        port(8090);

    while (IO::Select->new($s)->can_read(10)) {
        my $n = sysread($s, $answers, 100, length $answers);
        return unpack('H*', $answers) . ($n ? '' : defined $n ? ' eof'
            : ' reset') if !$n;
    }

    return unpack('H*', $answers) . ' timeout';
}
