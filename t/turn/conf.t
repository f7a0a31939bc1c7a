#!/usr/bin/perl

# Tests for configurations of the TURN server that stop "nginx -t" with a
# sentence.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $server = <<'EOC';
    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        listen 127.0.0.1:%%PORT_8479%%;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_user alice:secret;
        trp_turn_external_address 127.0.0.1;
    }
EOC

my $md5 = '0123456789abcdef' x 2;

# what is right beside these lines

my @good = (
    '',
    'trp_turn_user bob:with:colons;',
    'trp_turn_user "carol:with blanks";',
    "trp_turn_user dora:0x$md5;",
    "trp_turn_user dora:0x$md5$md5;",
    'trp_turn_secret north; trp_turn_secret south;',
    'trp_turn_external_address ::1;',
    'trp_turn_external_address ::1 local=::1;',
    'trp_turn_ports 50000-50000;',
    'trp_turn_ports 1-65535;',
    'trp_turn_allow all;',
    'trp_turn_allow 10.0.0.0/8 fd00::/8; trp_turn_allow 127.0.0.1;',
    'trp_turn_deny 8.8.8.8 ::/0;',
    'trp_turn_allow 10.0.0.0/8; trp_turn_deny all;',
    'trp_turn_allow 10.0.0.1:80 10.0.0.0/8:1-99 [fd00::1]:80 all:443;',
    'trp_turn_deny all; trp_turn_allow 9.9.9.9 9.9.9.8:53;',
    'trp_turn_allow 10.0.0.0/8; trp_turn_deny 10.0.0.1 10.0.0.0/9;',
    'trp_turn_unauthenticated_rate off;',
    'trp_turn_lifetime 10m; trp_turn_max_lifetime 10m;',
    'trp_turn_lifetime 1s;',
    'trp_turn_allocate_timeout 10s;',
    'trp_turn_max_unauthenticated 100; trp_turn_max_per_address 10;',
    'trp_turn_quota user=1;',
    'trp_turn_quota address=100 user=5;',
    'trp_turn_quota all=1;',
    'trp_turn_quota all=100 address=10 user=5;',
    'trp_turn_rate 1m;',
    'trp_turn_rate 0;',
    'trp_turn_unauthenticated_rate 1r/s;',
    'trp_turn_unauthenticated_rate 10r/s burst=1;',
    'trp_turn_software "any text";',
    'trp_turn_tcp_allocations on;',
    'trp_turn_tcp_allocations off;',
    'trp_turn_check_expiry allocate;',
    'trp_turn_check_expiry always;',
);

# what is wrong beside these lines, and the message

my @bad = (
    map({ my ($args, $message) = @$_; [ "trp_turn_$args;", $message ] }
        [ 'user bob', qr/has no password, write NAME:PASSWORD/ ],
        [ 'user bob:', qr/user "bob" of "trp_turn_user" has an empty pass/ ],
        [ 'user bob:0xnokey', qr/"bob".* has a key that is not 32 or 64 hex/ ],
        [ "user bob:0x${md5}0", qr/"bob".* has a key that is not 32 or 64 / ],
        [ 'user :secret', qr/name/ ],
        [ 'user alice:other', qr/duplicate|twice/ ],
        [ 'user ' . 'x' x 600 . ':y', qr/name/ ],
        [ 'user', qr/number of arguments/ ],
        [ 'user a:b c:d', qr/number of arguments/ ],
        [ 'secret ""', qr/empty/ ],
        [ 'secret', qr/number of arguments/ ],

        [ 'external_address 127.0.0.2', qr/duplicate|IPv4/ ],
        [ 'external_address ::1; trp_turn_external_address ::2',
            qr/duplicate|IPv6/ ],
        [ 'external_address nowhere', qr/invalid.*"nowhere"/ ],
        [ 'external_address 127.0.0.256', qr/invalid.*"127.0.0.256"/ ],
        [ 'external_address 0.0.0.0', qr/"0.0.0.0"/ ],
        [ 'external_address ::', qr/"::"/ ],
        [ 'external_address ::ffff:127.0.0.1', qr/"::ffff:127.0.0.1"/ ],
        [ 'external_address [::1]:80', qr/invalid/ ],
        [ 'external_address 127.0.0.2:80', qr/invalid/ ],
        [ 'external_address ::1 local=127.0.0.1',
            qr/invalid parameter "local=127.0.0.1".*same family/ ],
        [ 'external_address ::1 local=nowhere', qr/write "local=ADDRESS"/ ],
        [ 'external_address ::1 private', qr/write "local=ADDRESS"/ ],

        map({ [ "ports $_", qr/FIRST-LAST/ ] } qw/ 50000 50000- -50000
            50001-50000 0-1 1-65536 x-y 1-2-3 /),
        [ 'ports 1-2; trp_turn_ports 1-2', qr/duplicate/ ],

        map({ my $name = $_; map({ [ "$name $_", qr/invalid.*"\Q$_\E"/ ] }
            qw{ 10.0.0.0/33 10.0.0 fd00::/129 host 10.0.0.1:0 10.0.0.1:
            10.0.0.1:9-8 10.0.0.1:x *.host host:80 fd00::1:80:x }),
            [ $name, qr/number of arguments/ ] } qw/ allow deny /),

        map({ my $name = $_; map({ [ "$name $_", qr/"trp_turn_$name"/ ] }
            qw/ 0 x -1 /, '1s 2s') } qw/ lifetime max_lifetime /),
        [ 'lifetime 20m; trp_turn_max_lifetime 10m', qr/lifetime/ ],
        [ 'lifetime 1s; trp_turn_lifetime 1s', qr/duplicate/ ],
        [ 'allocate_timeout 0', qr/between 1ms and 24h/ ],
        map({ [ "$_ 0", qr/must be between 1 and/ ] }
            qw/ max_unauthenticated max_per_address /),

        map({ [ "quota $_", qr/"trp_turn_quota"/ ] } qw/ 1 user user= user=0
            user=x user=-1 address=0 port=1 all= all=0 all=x /,
            'user=1 user=1', 'all=1 all=1'),
        [ 'quota user=1; trp_turn_quota user=1', qr/duplicate/ ],

        map({ [ "rate $_", qr/"trp_turn_rate"/ ] } qw/ x -1 1r\/s /),
        map({ [ "unauthenticated_rate $_", qr{r/s} ] } qw{ 10 x 0r/s r/s -1r/s
            10r/h 10kr/s }),
        map({ [ "unauthenticated_rate $_", qr/burst=NUMBER/ ] } '1r/s burst',
            '1r/s burst=', '1r/s burst=0', '1r/s burst=x', '1r/s 10'),
        [ 'unauthenticated_rate off burst=5', qr{r/s} ],
        [ 'software ' . 'x' x 800, qr/long/ ],
        [ 'software a; trp_turn_software b', qr/duplicate/ ],
        [ 'realm other', qr/duplicate/ ],
        [ 'check_expiry never', qr/invalid value "never"/ ],
        [ 'tcp_allocations yes', qr/it must be "on" or "off"/ ],
        [ 'portal ws://127.0.0.1', qr/need each other, write both or none/ ],
        [ 'portal_token_file token', qr/need each other, write both or none/ ]),
    [ 'trp_turn;', qr/duplicate/ ],
    [ 'trp_turn on;', qr/number of arguments/ ],
    [ 'trp_turn_zone turn 1m;', qr/not allowed here/ ],
    [ 'return hello;', qr/"trp_turn"|handler/ ],
    [ 'proxy_pass 127.0.0.1:1;', qr/"trp_turn"|handler/ ],
);

# what is replaced, by what, the message

my @replaced = (
    [ 'trp_turn_realm example.org;', '', qr/trp_turn_realm/ ],
    [ 'trp_turn_realm example.org;', 'trp_turn_realm "";',
        qr/no "trp_turn_realm" is defined for "trp_turn" with users or / ],
    [ 'trp_turn_realm example.org;', 'trp_turn_realm ' . 'x' x 800 . ';',
        qr/long/ ],
    [ 'trp_turn;', 'return a; trp_turn;', qr/"trp_turn" .*handler/ ],
    [ 'server {', "trp_turn_zone turn 1;\n    server {", qr/size/ ],
    [ 'server {', "trp_turn_zone turn;\n    server {",
        qr/number of arguments/ ],
    [ 'server {', "trp_turn_zone turn 1m;\n trp_turn_zone turn 1m;\n server {",
        qr/duplicate/ ],
    [ 'server {', "trp_turn_zone turn 0;\n    server {", qr/size/ ],
    [ 'server {', "trp_turn;\n    server {", qr/not allowed here/ ],
);

# rules that never count: the line has a warning, which names them

my @warned = map { my ($line, $rule) = @$_; [ "trp_turn_$line;",
        qr/"\Q$rule\E" in "trp_turn_(?:allow|deny)" can never match/ ] }
    [ 'allow 9.9.9.9; trp_turn_deny 9.9.9.9', '9.9.9.9' ],
    [ 'allow 9.9.9.9/32 9.9.9.9', '9.9.9.9' ],
    [ 'deny all; trp_turn_allow all', 'all' ],
    [ 'deny 10.0.0.0/9 10.128.0.0/9; trp_turn_allow 10.0.0.0/8',
        '10.0.0.0/8' ],
    [ 'deny 10.0.0.1:1-100 10.0.0.1:101-65535; trp_turn_allow 10.0.0.1:1-65535',
        '10.0.0.1:1-65535' ];

plan(tests => @good + @bad + @replaced + @warned + 1 + 2);

trp_cert($t);

for my $line (@good) {
    like(conf($t, 'trp_turn;', "trp_turn; $line"),
        qr/^(?!.*\[warn\]).*test is successful$/s, "good: $line");
}

for my $case (@warned) {
    my ($line, $message) = @$case;
    like(conf($t, 'trp_turn;', "trp_turn;\n$line"),
        qr/\[warn\] [^\n]*$message[^\n]*nginx\.conf:\d+.*successful$/s,
        "warning: $line");
}

for my $case (@bad) {
    my ($line, $message) = @$case;
    like(conf($t, 'trp_turn;', "trp_turn;\n$line"),
        qr/\[emerg\] [^\n]*$message.*nginx\.conf:?\d+.*failed$/s, $line);
}

for my $case (@replaced) {
    my ($from, $to, $message) = @$case;
    like(conf($t, $from, $to), qr/\[emerg\] .*$message.*failed$/s,
        $to eq '' ? "without $from" : $to =~ s/\n.*//sr);
}

# the smallest: binding only

unlike(conf($t, qr/trp_turn_.*;/, ''), qr/failed$/, 'binding only');


sub conf {
    my ($t, $from, $to) = @_;
    my $text = ref $from ? $server =~ s/$from/$to/gr
        : $server =~ s/\Q$from\E/$to/r;

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
