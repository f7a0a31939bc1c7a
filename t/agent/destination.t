#!/usr/bin/perl

# Tests for trp_reverse_destination: the reverse maps what routes ask for.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl stream_map unix /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# what the route asks for, and what comes back

my @tests = (
    [ 'web:80', '127.0.0.9:8000' ],
    [ 'WEB:80', '127.0.0.9:8000' ],
    [ 'six:80', '[::1]:8001' ],
    [ 'port:80', '127.0.0.1:8002' ],
    [ 'name:80', '127.0.0.1:8003' ],
    [ '10.0.0.5:22', '127.0.0.9:8004' ],
    [ '127.0.0.9:8005', '127.0.0.9:8005' ],
    [ 'same:81', '127.0.0.1:81' ],
    [ 'web:81', 'reset' ],
    [ 'denied:80', 'reset' ],
    [ 'bad:80', 'reset' ],
);

relay_conf($relay, 8080);

my $routes = join '', map {
    "        trp_route %%PORT_${\(8100 + $_)}%%:$tests[$_][0] bind=127.0.0.1;\n"
} 0 .. $#tests;

$entry->write_file_expand('nginx.conf', <<'EOC' =~ s/ROUTES/$routes/r);

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    log_format trp "$trp_destination $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
ROUTES
        trp_route %%PORT_8090%%:sock:1 bind=127.0.0.1;
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

    log_format trp "$trp_destination $trp_destination_host "
                   "$trp_destination_port $trp_status";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8080;
    }

    map $trp_destination $to {
        web:80       127.0.0.9:8000;
        six:80       [::1]:8001;
        port:80      8002;
        name:80      localhost:8003;
        10.0.0.5:22  127.0.0.9:8004;
        same:81      127.0.0.1:$trp_destination_port;
        denied:80    10.0.0.5:22;
        bad:80       "a b";
        sock:1       unix:%%TESTDIR%%/a.sock;
    }

    trp_reverse_destination $to;

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.0/8 [::1] unix:%%TESTDIR%%/a.sock;
        return "$trp_destination";
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

$relay->run();
$reverse->run();
$entry->run()->plan(@tests + 7 + 4);

for my $i (0 .. $#tests) {
    my ($route, $wanted) = @{$tests[$i]};

    is(ask(port(8100 + $i)), $wanted, "$route: $wanted");
}

is(ask(port(8090)), 'unix:' . $reverse->testdir() . '/a.sock', 'unix socket');

# the logs

ok(wait_log($entry, qr/^web:80 \w+$/, file => 'access.log'),
    'the entry knows the name');
ok(wait_log($entry, qr/^denied:80 not allowed$/, file => 'access.log'),
    'what a name leads to has to be allowed');
ok(wait_log($entry, qr/^bad:80 no such host$/, file => 'access.log'),
    'a value that is none');
ok(wait_log($reverse, qr/^127.0.0.9:8000 127.0.0.9 8000 \w+$/,
    file => 'access.log'), 'the reverse knows the address');
is(count_log($reverse, qr/\[error\].*refused.*"trp_reverse_destination" is not /
    . qr/HOST:PORT.*"bad:80"/), 1, 'a line for a value that is none');
is(count_log($reverse, qr/\[error\].*not allowed by "trp_reverse_allow".*/
    . qr/"10.0.0.5:22"/), 1, 'a line that names the value');


sub ask {
    my ($port) = @_;

    my $s = connect_to($port);
    my $text = <$s>;

    return defined $text ? $text : $!{ECONNRESET} ? 'reset' : 'end';
}
