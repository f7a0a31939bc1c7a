#!/usr/bin/perl

# Tests for configurations of SOCKS5 that stop "nginx -t" with a sentence.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream /);

my $server = <<'EOC';
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass 127.0.0.1:%%PORT_8081%%;
    }
EOC

# what is right beside these lines

my @good = (
    '',
    'trp_socks5_user bob:secret;',
    'trp_socks5_user bob:with:colons; trp_socks5_user "eve:with blanks";',
    'trp_socks5_user_file users;',
    'trp_socks5_allow all; trp_socks5_deny 10.0.0.0/8 *.example.org:22;',
    'trp_socks5_allow [::1]:80-90 example.org;',
    'trp_socks5_udp off;',
    'trp_socks5_udp_timeout 30s;',
    'trp_socks5_udp_address 203.0.113.5; trp_socks5_udp_address 2001:db8::5;',
    'trp_socks5_udp_ports 40000-40100;',
    'trp_socks5_udp_ports 40000-40000;',
);

# what is wrong beside these lines, and the message

my @bad = (
    [ 'trp_socks5;', qr/"trp_socks5" directive is duplicate/ ],
    [ 'trp_socks5_user bob;', qr/form NAME:PASSWORD/ ],
    [ 'trp_socks5_user :secret;', qr/form NAME:PASSWORD/ ],
    [ 'trp_socks5_user bob:;', qr/form NAME:PASSWORD/ ],
    [ 'trp_socks5_user bob:a; trp_socks5_user bob:b;', qr/repeats a user/ ],
    [ 'trp_socks5_user bob:' . 'x' x 256 . ';', qr/more than 255/ ],
    [ 'trp_socks5_user_file nobody;', qr/no users in user file/ ],
    [ 'trp_socks5_user_file wrong;', qr/line 2 of user file/ ],
    [ 'trp_socks5_user_file none;', qr/none" failed|none"/ ],
    [ 'trp_socks5_allow 1.2.3.4:x;', qr/invalid port/ ],
    [ 'trp_socks5_deny 1.2.3.4/33;', qr/"trp_socks5_deny"/ ],
    [ 'trp_socks5_allow unix:/run/a;', qr/is a unix socket, for which clien/ ],
    [ 'trp_socks5_udp_timeout 0;', qr/between 1ms and 24h/ ],
    [ 'trp_socks5_udp_address example.org;', qr/invalid address/ ],
    [ 'trp_socks5_udp_address 203.0.113.5:80;', qr/invalid address/ ],
    [ 'trp_socks5_udp_address 0.0.0.0;', qr/invalid address/ ],
    [ 'trp_socks5_udp_address ::;', qr/invalid address/ ],
    [ 'trp_socks5_udp_address ::ffff:1.2.3.4;', qr/invalid address/ ],
    [ 'trp_socks5_udp_address 1.2.3.4; trp_socks5_udp_address 1.2.3.5;',
        qr/is duplicate/ ],
    [ 'trp_socks5_udp_ports 40000;', qr/write "FIRST-LAST"/ ],
    [ 'trp_socks5_udp_ports 2-1;', qr/write "FIRST-LAST"/ ],
    [ 'trp_socks5_udp_ports 0-65535;', qr/write "FIRST-LAST"/ ],
    [ 'trp_socks5_udp_ports 1-2; trp_socks5_udp_ports 3-4;',
        qr/is duplicate/ ],
);

# in place of "trp_socks5;"

my @replaced = (
    [ 'trp_socks5 private;', qr/write "public" or nothing/ ],
    [ 'trp_socks5; listen 1080;', qr/listens on a public address/ ],
    [ 'trp_socks5; listen 8.8.8.8:1080;', qr/listens on a public address/ ],
    [ 'trp_socks5; listen 127.0.0.1:1080 udp;', qr/UDP sockets of its own/ ],
    [ 'trp_socks5; proxy_ssl on;', qr/"proxy_ssl" cannot be used/ ],
);

# what is denied is denied: these rules hold for nothing

my @warned = (
    'trp_socks5_deny all; trp_socks5_allow 9.9.9.9;',
    'trp_socks5_allow 9.9.9.9; trp_socks5_deny all;',
    'trp_socks5_allow 10.1.0.0/16:80; trp_socks5_deny 10.0.0.0/8;',
    'trp_socks5_deny *.example.org; trp_socks5_allow www.example.org;',
);

plan(tests => @good + @bad + @replaced + @warned + 3);

$t->write_file('users', "# a comment\nbob:{PLAIN}secret\n");
$t->write_file('nobody', "# a comment\n\n");
$t->write_file('wrong', "bob:{PLAIN}secret\neve\n");

for my $line (@good) {
    like(conf($t, "trp_socks5; $line"),
        qr/^(?!.*can never match).*test is successful$/s, "good: $line");
}

for my $line (@warned) {
    like(conf($t, "trp_socks5;\n$line"),
        qr/\[warn\] [^\n]*can never match[^\n]*nginx\.conf:\d+.*successful$/s,
        "warning: $line");
}

like(conf($t, 'trp_socks5 public; listen 1080;'), qr/test is successful$/,
    'public');

for my $case (@bad) {
    my ($line, $message) = @$case;
    like(conf($t, "trp_socks5;\n$line"),
        qr/\[emerg\] [^\n]*$message.*nginx\.conf:?\d+.*failed$/s,
        substr($line, 0, 60));
}

for my $case (@replaced) {
    my ($line, $message) = @$case;
    like(conf($t, $line), qr/\[emerg\] [^\n]*$message.*failed$/s, $line);
}


sub conf {
    my ($t, $line) = @_;
    my $text = $server =~ s/trp_socks5;/$line/r;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

$text}
EOC

    return nginx_test($t);
}
