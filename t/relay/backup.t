#!/usr/bin/perl

# trp_reverse_backup: a backup serves users when the others cannot, and only
# then.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $primary = Test::Nginx->new();
my $backup = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_group $trp_status";
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

# group a: any number of tunnels; b: two at most; c: refuses

$entry->write_file_expand('nginx.conf', head() . upstreams() . <<'EOC');

    server {
        trp_route %%PORT_8080%%:22 bind=127.0.0.1;
        trp_route %%PORT_8081%%:23 bind=127.0.0.1;
        proxy_pass a;
    }

    server {
        trp_route %%PORT_8082%%:22 bind=127.0.0.1;
        proxy_pass b;
    }

    server {
        trp_route %%PORT_8083%%:22 bind=127.0.0.1;
        proxy_pass c;
    }
}

EOC

$primary->write_file_expand('nginx.conf', head() . <<'EOC');
    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_name primary;
    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_allow 127.0.0.1:22;

    server {
        trp_reverse relay;
        trp_reverse_group a;
        trp_reverse_pool idle=2;
        proxy_pass 127.0.0.1:8091;
    }

    server {
        trp_reverse relay;
        trp_reverse_group b;
        trp_reverse_pool idle=2 max=2;
        proxy_pass 127.0.0.1:8091;
    }

    server {
        trp_reverse relay;
        trp_reverse_group c;
        proxy_pass 127.0.0.1:8093;
    }
}

EOC

$backup->write_file_expand('nginx.conf', head() . <<'EOC' . servers() . "}\n");
    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_name backup;
    trp_reverse_backup on;
    trp_reverse_key reverse;
    trp_reverse_pool idle=16;
    trp_reverse_ssl_trusted_certificate localhost.crt;

EOC

trp_cert($relay, $entry, $primary, $backup);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($primary, 'reverse'), trp_keys($backup, 'reverse'), '');

serve($relay, port(8091), 'hello', data => "primary\n");
serve($relay, port(8092), 'hello', data => "backup\n");

$relay->run();
$primary->run();
$backup->run();
$entry->run()->plan(16 + 6);

ok(wait_log($relay, qr/reverse "primary" .* has a tunnel/, count => 2 + 2 + 4),
    'primary');
ok(wait_log($relay, qr/reverse "backup" .* has a tunnel/, count => 48),
    'backup');

# the primary is there; with more users than it has tunnels, it gets them

is(join(' ', answers(8080, 1)), 'primary', 'primary alone');

is_deeply([ answers(8080, 8) ], [ ('primary') x 8 ], 'burst');

# it is there, and has no more tunnels

is_deeply([ answers(8082, 4) ], [ qw/ primary primary backup backup / ],
    'none is free');

# it refuses one destination, and is asked for the others

is_deeply([ answers(8081, 2) ], [ ('backup') x 2 ], 'has refused that one');
ok(wait_log($relay, qr/reverse "primary" .* refused .*: not allowed/,
    count => 2), 'was asked');
is_deeply([ answers(8080, 2) ], [ ('primary') x 2 ], 'another destination');

# it refuses all

is_deeply([ map { answers(8083, 1) } 1 .. 30 ], [ ('backup') x 30 ], 'refuses');
cmp_ok(count_log($relay, qr/reverse "primary" .*: refused, .*"c"/), '<', 30,
    'not always asked');

serve($relay, port(8093), 'hello', data => "primary\n");

ok(wait_for(sub { (answers(8083, 1))[0] eq 'primary' }, 90), 'accepts');
is_deeply([ answers(8083, 4) ], [ ('primary') x 4 ], 'primary again');

# it goes and comes

$primary->stop();
is_deeply([ answers(8080, 4) ], [ ('backup') x 4 ], 'is gone');
is_deeply([ answers(8083, 4) ], [ ('backup') x 4 ], 'from each group');

$primary->run();
ok(wait_for(sub { (answers(8080, 1))[0] eq 'primary' }), 'is back');
is_deeply([ answers(8080, 4) ], [ ('primary') x 4 ], 'all of them');


# what so many users get who are there at the same time, in some order

sub answers {
    my ($port, $n) = @_;
    my @users = map { connect_to(port($port)) } 1 .. $n;
    my @answers = map { my $line = readline $_; defined $line ? $line : "-\n" }
        @users;

    chomp @answers;
    return reverse sort @answers;
}


sub head {
    return <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

EOC
}


sub upstreams {
    return join '', map { <<"EOC" } qw/ a b c /;
    upstream $_ {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_group $_;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

EOC
}


sub servers {
    return join '', map { <<"EOC" } qw/ a b c /;
    server {
        trp_reverse relay;
        trp_reverse_group $_;
        proxy_pass 127.0.0.1:8092;
    }

EOC
}
