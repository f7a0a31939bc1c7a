#!/usr/bin/perl

# Tests for configurations with settings of entries in stream {}: what is
# allowed there, errors that name the upstream, and files that are read once
# for all upstreams.

use strict;
use warnings;

use Test::More;

use POSIX qw/ mkfifo /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my $trusted = 'trp_entry_ssl_trusted_certificate localhost.crt;';
my $both = "trp_entry_key auth; $trusted";

# before the upstream, in it, and after it

my @good = (
    [ $both, '', '' ],
    [ '', '', $both ],
    [ 'trp_entry_key auth;', '', $trusted ],
    [ 'trp_entry_key missing;', 'trp_entry_key auth;', $trusted ],
    [ "$both trp_entry_pool max=4;", 'trp_entry_pool idle=4;', '' ],
    [ "$both trp_entry_pool idle=8;", 'trp_entry_pool idle=4 max=4;', '' ],
    [ "$both trp_entry_turn 127.0.0.1;", 'trp_entry_turn off;', '' ],
    [ "$both trp_entry_turn 127.0.0.1;", 'trp_entry_turn_user a:b;', '' ],
    [ "$both trp_entry_turn_user a:b;", 'trp_entry_turn tls 127.0.0.1;',
        'trp_entry_turn_ssl_verify off;' ],
    [ "$both trp_entry_group \$trp_socks5_user;", '', '' ],
    [ "$both trp_entry_group \$trp_socks5_user;", 'trp_entry_group a;', '' ],
    [ $both, 'trp_entry_group a-$trp_destination_host;', '' ],
    [ "$both trp_entry_groups max=1;", 'trp_entry_groups inactive=1d;', '' ],
);

# the error names the line of the last element

my @bad = (
    [ $trusted, '', '', qr/no "trp_entry_key" is defined for "trp_entry"/,
        'trp_entry;' ],
    [ 'trp_entry_key auth;', '', '',
        qr/no "trp_entry_ssl_trusted_certificate" is defined/, 'trp_entry;' ],
    [ '', '', "$trusted trp_entry_key missing;",
        qr/open\(\) ".*\/missing" failed/, 'trp_entry;' ],
    [ "$both trp_entry_key auth;", '', '',
        qr/"trp_entry_key" directive is duplicate/, 'trp_entry_key auth;' ],
    [ "$both trp_entry_pool max=2;", '', '',
        qr/"trp_entry_pool" has max=2, which is less than idle=4, write both/,
        'trp_entry;' ],
    [ "$both trp_entry_pool idle=8;", 'trp_entry_pool max=4;', '',
        qr/"trp_entry_pool" has max=4, which is less than idle=8/,
        'trp_entry;' ],
    [ "$both trp_entry_turn 127.0.0.1;", '', '',
        qr/no "trp_entry_turn_user" and no "trp_entry_turn_secret" is/,
        'trp_entry_turn 127' ],
    [ "$both trp_entry_turn off; trp_entry_turn 127.0.0.1;", '', '',
        qr/"trp_entry_turn" directive is duplicate/, 'trp_entry_turn off' ],
    map({ [ $both, "trp_entry_groups $_;", '',
            qr/invalid parameter "\S+" in "trp_entry_groups", write "max=/,
            'trp_entry_groups' ] }
        qw/ max=0 max=x max= max=65536 inactive=0 inactive=x inactive=25h idle=1 /,
        'max=1 max=1', 'inactive=1s inactive=1s'),
    [ $both, 'trp_entry_groups max=1; trp_entry_groups inactive=1s;', '',
        qr/"trp_entry_groups" directive is duplicate/, 'trp_entry_groups max' ],
    [ $both, 'trp_entry_group $no_such_variable;', '',
        qr/unknown "no_such_variable" variable/, '' ],
    [ $both, 'trp_entry_group a; trp_entry_group $trp_name;', '',
        qr/"trp_entry_group" directive is duplicate/, 'trp_entry_group a' ],
    [ $both, 'trp_entry_group $trp_name; trp_entry_group a;', '',
        qr/"trp_entry_group" directive is duplicate/, 'trp_entry_group $' ],
    [ '', '', 'trp_entry;', qr/"trp_entry" directive is not allowed here/,
        'trp_entry;' ],
    [ '', '', 'server { trp_entry_key auth; }',
        qr/"trp_entry_key" directive is not allowed here/, 'trp_entry_key' ],
);

plan(tests => @good + @bad + 2 + 2);

trp_cert($t);
trp_keys($t, 'auth');

for my $case (@good) {
    config(@$case);
    like(nginx_test($t), qr/test is successful$/, join ' | ', @$case);
}

for my $case (@bad) {
    my ($before, $in, $after, $message, $where) = @$case;
    my $line = config($before, $in, $after, $where);

    like(nginx_test($t), $where ? qr/\[emerg\] [^\n]*$message[^\n]*nginx\.conf:$line\b/
        : qr/\[emerg\] [^\n]*$message/,
        join ' | ', $before, $in, $after);
}

# Who opens the file is given the certificate once, and something else if it is
# opened again.

mkfifo($t->testdir() . '/once', 0600) or die "can't make a FIFO: $!\n";

is(once('trp_entry_ssl_verify_depth 8;'), 'successful',
    'a certificate is read once');
is(once('trp_entry_ssl_verify_depth 7;'), 'failed',
    'and once more where something differs');


sub once {
    my ($setting) = @_;

    config('trp_entry_key auth; trp_entry_ssl_trusted_certificate once;', '',
        join '', map({ "upstream u$_ { server 127.0.0.1:8080; trp_entry; }\n" }
            1 .. 20),
        "upstream last { server 127.0.0.1:8080; trp_entry; $setting }\n");

    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if (!$pid) {
        my $text = $t->read_file('localhost.crt');
        $SIG{PIPE} = 'IGNORE';

        for ( ;; ) {
            open my $fh, '>', $t->testdir() . '/once' or POSIX::_exit(1);
            syswrite $fh, $text;
            close $fh;
            $text = "no certificate\n";
        }
    }

    my ($result) = nginx_test($t) =~ /test (?:is )?(\w+)$/;

    kill 'KILL', $pid;
    waitpid $pid, 0;

    return $result;
}


# returns the number of the last line with the text

sub config {
    my ($before, $in, $after, $where) = @_;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    $before

    upstream relay {
        server 127.0.0.1:8080;
        $in
        trp_entry;
    }

    server {
        trp_route %%PORT_8081%%:22 bind=127.0.0.1;
        proxy_pass relay;
    }

    $after
}

EOC

    return if !defined $where;

    my $conf = $t->read_file('nginx.conf');
    return 1 + (substr($conf, 0, rindex $conf, $where) =~ tr/\n//);
}
