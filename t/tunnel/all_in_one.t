#!/usr/bin/perl

# Tests for one nginx that is relay, entry and reverse in one process: each
# access log has the variables of its role.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_destination $trp_destination_host "
                   "$trp_destination_port $trp_group $trp_name $trp_status "
                   "$remote_addr $bytes_received $bytes_sent";

    proxy_half_close on;

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;

        access_log %%TESTDIR%%/relay.log trp;
    }

    upstream entry {
        server 127.0.0.1:8433;

        trp_entry;
        trp_entry_key entry;
        trp_entry_group one;
        trp_entry_name front;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:localhost:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8099%% bind=127.0.0.1;
        proxy_pass entry;

        access_log %%TESTDIR%%/entry.log trp;
    }

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_group one;
        trp_reverse_name back;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;

        access_log %%TESTDIR%%/reverse.log trp;
    }

    # none of the roles

    server {
        listen 127.0.0.1:8082;
        proxy_pass 127.0.0.1:8090;

        access_log %%TESTDIR%%/none.log trp;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys',
    join "\n", trp_keys($t, 'entry', 'reverse'));

serve($t, port(8090), 'echo');

$t->run()->plan(13);

# a transfer: 1000000 bytes there, they and the digest back

my $result = transfer(connect_to(port(8080)), 1_000_000);

is($result->{received_sha}, $result->{sent_sha}, 'transfer');
is($result->{end}, 'eof', 'end');
is(scalar worker_pids($t), 1, 'one process');

my $port = port(8090);
my $sent = 1_000_000 + length $result->{tail};
my $rest = "ok 127.0.0.1 1000000 $sent";

is(line('entry', 1), "localhost:$port localhost $port one front $rest",
    'entry');
is(line('relay', 1), "localhost:$port localhost $port one front $rest",
    'relay');
is(line('reverse', 1), "127.0.0.1:$port localhost $port one back $rest",
    'reverse');

# nobody is there

$port = port(8099);
$rest = 'refused 127.0.0.1 0 0';

is(end_of(connect_to(port(8081))), 'reset', 'refused');

is(line('entry', 2), "127.0.0.1:$port 127.0.0.1 $port one front $rest",
    'entry, refused');
is(line('relay', 2), "127.0.0.1:$port 127.0.0.1 $port one front $rest",
    'relay, refused');
is(line('reverse', 2), "127.0.0.1:$port 127.0.0.1 $port one back $rest",
    'reverse, refused');

# a server of no role has none of them

is(transfer(connect_to(port(8082)), 10)->{end}, 'eof', 'no role');
like(line('none', 1), qr/^- - - - - - 127\.0\.0\.1 10 \d+$/,
    'no role, variables');

# a new generation of the whole

reload_and_wait($t);
is(transfer(connect_to(port(8080)), 1_000_000)->{end}, 'eof', 'reload');


sub line {
    my ($role, $count) = @_;

    wait_log($t, qr/./, file => "$role.log", count => $count);

    my @lines = split /\n/, $t->read_file("$role.log");
    return @lines == $count ? $lines[-1] : 'lines: ' . @lines;
}
