#!/usr/bin/perl

# Tests for routes that stop "nginx -t" with a sentence.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

# the routes, in their servers, and the message

my @tests = (
    [ '0:22', qr/route "0:22" has an invalid listen port, a port is 1 to/ ],
    [ '65536:22', qr/has an invalid listen port/ ],
    [ '-1:22', qr/has an invalid listen port/ ],
    [ '8x:22', qr/has an invalid listen port/ ],
    [ '081:22', qr/has an invalid listen port/ ],
    [ '%%PORT_8081%%:0', qr/has an invalid destination port, a port is 1 to/ ],
    [ '%%PORT_8081%%:65536', qr/has an invalid destination port/ ],
    [ '%%PORT_8081%%:10.0.0.5:ssh', qr/has an invalid destination port/ ],
    [ '127.0.0.1:0:22', qr/has an invalid listen port/ ],
    [ '127.0.0.1:0:10.0.0.5:22', qr/has an invalid listen port/ ],

    [ '%%PORT_8081%%', qr/route "\d+" is missing a part, write at least "POR/ ],
    [ '""', qr/route "" is empty/ ],
    [ '%%PORT_8081%%:', qr/has an empty port/ ],
    [ ':22', qr/has an empty port/ ],
    [ '127.0.0.1::22', qr/has an empty port/ ],
    [ '%%PORT_8081%%:10.0.0.5:', qr/has an empty port/ ],
    [ ':%%PORT_8081%%:22', qr/has an empty source, leave out its colon/ ],
    [ ':%%PORT_8081%%:10.0.0.5:22', qr/has an empty source/ ],
    [ '%%PORT_8081%%::22', qr/has an empty host, write "PORT:PORT" for 127/ ],
    [ '127.0.0.1:%%PORT_8081%%::22', qr/has an empty host/ ],
    [ '1:2:3:4:5', qr/has too many parts, write at most "ADDRESS:PORT:HOST/ ],

    [ '%%PORT_8081%%:::1:22', qr/has an unbracketed IPv6 address, write it a/ ],
    [ '2001:db8::1:%%PORT_8081%%:22', qr/has an unbracketed IPv6 address/ ],
    [ '%%PORT_8081%%:2001:db8::1:22', qr/has an unbracketed IPv6 address/ ],
    [ '2001:db8::/32:%%PORT_8081%%:22', qr/has an unbracketed IPv6 address/ ],
    [ '%%PORT_8081%%:[::1:22', qr/has an unclosed bracket/ ],
    [ '%%PORT_8081%%:[::1]2:22', qr/has text after a bracket/ ],
    [ '%%PORT_8081%%:[10.0.0.5]:22', qr/has brackets around a destination/ ],

    [ 'host:%%PORT_8081%%:22', qr/has an invalid source, a source must be/ ],
    [ '127.0.0.1/33:%%PORT_8081%%:22', qr/has an invalid source/ ],
    [ '127.0.0.256:%%PORT_8081%%:22', qr/has an invalid source/ ],
    [ '[::1]/129:%%PORT_8081%%:22', qr/has an invalid source/ ],
    [ '127.1:%%PORT_8081%%:10.0.0.5:22', qr/has an invalid source/ ],
    [ '0.0.0.0:%%PORT_8081%%:22', qr/route "0.0.0.0:\d+:22" has a source that /
        . qr/nobody connects from, leave it out to let anybody connect, and /
        . qr/write "bind=ADDRESS" for where to listen/ ],
    [ '[::]:%%PORT_8081%%:10.0.0.5:22', qr/has a source that nobody connects/ ],

    [ '%%PORT_8081%%:unix:/run/../a', qr/has an invalid path of a unix sock/ ],
    [ '%%PORT_8081%%:unix:/run/a:22', qr/has text after the path of a unix/ ],
    [ '%%PORT_8081%%:unix:/run/a udp', qr/"trp_route" directive with "udp" can/
        . qr/not be used with a unix socket/ ],
    [ 'unix:/run/a', qr/is missing a part, write at least "PORT:PORT"/ ],
    [ 'unix:/run/a:22 bind=127.0.0.1', qr/with "bind=" cannot listen on a uni/ ],
    [ 'unix:/run/a:22 udp', qr/with "udp" cannot be used with a unix socket/ ],
    [ 'unix:a:22', qr/has an invalid source/ ],
    [ [ 'unix:/run/a:22', undef, 'unix:/run/a:23' ],
        qr/another "trp_route" listens on "unix:\/run\/a" already/ ],

    [ '6000-0:22', qr/has an invalid listen port/ ],
    [ '6019-6000:22', qr/has a range of ports that ends before it starts/ ],
    [ '6000-6019:22-40', qr/has ranges of different lengths, write a range of/ ],
    [ '6000:22-23', qr/has ranges of different lengths/ ],

    [ '%%PORT_8081%%:10.0.0.0/8:22', qr/has a block as its destination/ ],
    [ '%%PORT_8081%%:a..b:22', qr/has an invalid destination host/ ],
    [ '%%PORT_8081%%:10.0.0.256:22', qr/has an invalid destination host/ ],
    [ '%%PORT_8081%%:$', qr/invalid variable name/ ],
    [ '$server_port:22', qr/has an invalid listen port/ ],

    [ '%%PORT_8081%%:22 udp ssl', qr/"ssl" parameter is incompatible with "ud/ ],
    [ '%%PORT_8081%%:22 backlog=x', qr/invalid backlog "backlog=x"/ ],
    [ '%%PORT_8081%%:22 nonsense', qr/invalid (?:parameter )?"nonsense"/ ],
    [ '%%PORT_8081%%:22 bind=', qr/invalid address in "bind="/ ],
    [ '%%PORT_8081%%:22 bind=127.0.0.256', qr/invalid address in "bind=127/ ],
    [ '%%PORT_8081%%:22 bind=localhost', qr/invalid address in "bind=local/ ],
    [ '%%PORT_8081%%:22 bind=unix', qr/invalid address in "bind=unix/ ],
    [ '%%PORT_8081%%:22 bind=::1', qr/unbracketed IPv6 address in "bind=::1", /
        . qr/write "bind=\[::1\]"/ ],
    [ '%%PORT_8081%%:22 bind=127.0.0.1:80',
        qr/invalid address in "bind=127.0.0.1:80"/ ],

    [ [ '%%PORT_8081%%:22', '%%PORT_8081%%:23' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+" already, use another/ ],
    [ [ '192.0.2.1:%%PORT_8081%%:22', '192.0.2.2:%%PORT_8081%%:22' ],
        qr/another "trp_route" listens on/ ],
    [ [ '%%PORT_8081%%:22 bind=127.0.0.1', '%%PORT_8081%%:23 bind=127.0.0.1' ],
        qr/another "trp_route" listens on "127.0.0.1:\d+"/ ],
    [ [ '%%PORT_8081%%:22', undef, '%%PORT_8081%%:22' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+"/ ],
    [ [ '6081-6085:22', '6083:22' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+" already/ ],
    [ [ '6083:22', '6081-6085:22' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+-\d+" already/ ],
    [ [ '6083-6086:1', undef,
        '6081-6083:22' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+-\d+" already/ ],
    [ [ '6083-6086:1', '6086-6088:22' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+-\d+" already/ ],
    [ [ '%%PORT_8081%%:22 bind=[::1]', undef, '%%PORT_8081%%:2 bind=[::1]' ],
        qr/another "trp_route" listens on "\[::1\]:\d+"/ ],
    [ [ '%%PORT_8081%%:53 udp', '%%PORT_8081%%:54 udp reuseport' ],
        qr/another "trp_route" listens on "0.0.0.0:\d+"/ ],
);

# what is no mistake

my @good = (
    [ '%%PORT_8081%%:22', '%%PORT_8081%%:23 bind=127.0.0.1' ],
    [ '%%PORT_8081%%:22 bind=127.0.0.1', undef,
        '%%PORT_8081%%:22 bind=127.0.0.2' ],
    [ '6083-6084:1', '6085-6086:1',
        undef, '6081-6082:1',
        '6081-6086:1 bind=127.0.0.1' ],
    [ '1.2.3.4/0:%%PORT_8081%%:[::1]:65535', '[::1]:%%PORT_8082%%:a.b-c_d:1' ],
    [ '%%PORT_8081%%:53', '%%PORT_8081%%:53 udp' ],
    [ '%%PORT_8081%%:53 udp reuseport rcvbuf=1m sndbuf=1m',
        '%%PORT_8081%%:53 udp bind=127.0.0.1', undef,
        '%%PORT_8081%%:53 bind=127.0.0.1' ],
);

trp_keys($t, 'entry');
trp_cert($t);

plan(tests => @tests + @good + 3 + 2);

for my $test (@tests) {
    my ($routes, $message) = @$test;
    my @routes = ref $routes ? @$routes : $routes;

    my $line = config($t, @routes);
    my $name = join ' + ', map { defined $_ ? $_ : '} server {' } @routes;

    like(nginx_test($t),
        qr/^nginx: \[emerg\] .*$message.*nginx\.conf:$line\n.*test failed$/s,
        $name);
}

for my $routes (@good) {
    config($t, @$routes);
    like(nginx_test($t), qr/test is successful$/, "good: $routes->[0]");
}

# with the stock directive

my $line = config($t, '%%PORT_8081%%:22', 'listen %%PORT_8081%%');
like(nginx_test($t), qr/duplicate (?:"\S+" address|listen) .*conf:$line\n/,
    'route and listen');

$line = config($t, '%%PORT_8081%%:22', undef, 'listen 127.0.0.1:%%PORT_8082%%');
like(nginx_test($t), qr/"proxy_pass" cannot pass to "relay" in .*, the upstr/,
    'a server without a route');

# nginx names no line here

config($t, '%%PORT_8081%%:a_$host:22');
like(nginx_test($t), qr/\[emerg\] unknown "host" variable/, 'no variable');


# Each route is a line of its own, undef ends a server.  Returns the number
# of the last line with a route.

sub config {
    my ($t, @routes) = @_;
    my $text = join '', map {
        defined $_ ? (/^listen/ ? "$_;\n" : "trp_route $_;\n")
            : "proxy_pass relay; } server {\n"
    } @routes;

    my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
EOC

    $t->write_file_expand('nginx.conf', <<"EOC");
$head$text
        proxy_pass relay;
    }
}

EOC

    # the globals may have lines too

    my @lines = split /\n/, $t->read_file('nginx.conf');
    my @numbers = grep { $lines[$_ - 1] =~ /^(?:trp_route|listen) / }
        1 .. @lines;
    return $numbers[-1];
}
