#!/usr/bin/perl

# Tests for a group that depends on the user: one port for the hosts of many
# agents, by ssl_preread and map.  Pools of a group are made for its first user,
# bounded, and given up when they are not used.

use strict;
use warnings;

use Test::More;

use IO::Socket::SSL;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_map
    stream_ssl_preread /);
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

    log_format trp "$ssl_preread_server_name $trp_group $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    proxy_half_close on;

    trp_entry_key entry;
    trp_entry_ssl_trusted_certificate localhost.crt;
    trp_entry_pool idle=2;

    map $ssl_preread_server_name $agent {
        git.example.com  git;
        web.example.com  web;
        three.example.com  three;
        bad.example.com  "not a\nname";
        long.example.com
            xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;
    }

    upstream agents {
        server 127.0.0.1:8433;
        trp_entry;
        trp_entry_group $agent;
        trp_entry_groups max=2 inactive=1s;
    }

    server {
        trp_route %%PORT_8080%%:443 bind=127.0.0.1;
        ssl_preread on;
        proxy_pass agents;
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

    proxy_half_close on;

    ssl_certificate localhost.crt;
    ssl_certificate_key localhost.key;

    upstream relay {
        server 127.0.0.1:8433;
    }

    trp_reverse_key reverse;
    trp_reverse_ssl_trusted_certificate localhost.crt;

    server {
        trp_reverse relay;
        trp_reverse_group git;
        proxy_pass 127.0.0.1:8091;
    }

    server {
        trp_reverse relay;
        trp_reverse_group web;
        proxy_pass 127.0.0.1:8092;
    }

    server {
        trp_reverse relay;
        trp_reverse_group three;
        proxy_pass 127.0.0.1:8093;
    }

    server {
        listen 127.0.0.1:8091 ssl;
        proxy_pass 127.0.0.1:8094;
    }

    server {
        listen 127.0.0.1:8092 ssl;
        return "web $ssl_server_name\n";
    }

    server {
        listen 127.0.0.1:8093 ssl;
        return "three $ssl_server_name\n";
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$reverse->write_file('localhost.key', $relay->read_file('localhost.key'));
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), '');

serve($reverse, port(8094), 'echo');

$relay->run();
$reverse->run();
$entry->run()->plan(28 + 2 * 2);

ok(wait_log($relay, qr/ reverse .* has a tunnel in group /, count => 12),
    'reverses');
is(count_log($entry, qr/tunnel is ready/), 0, 'no tunnel before a user');

my $descriptors = fd_count(worker_pids($entry));

# two groups through one port, and again with tunnels that are there

my $git = user('git.example.com');
is(says($git, "first\n"), "first\n", 'one group');
is(says(user('web.example.com')), "web web.example.com\n", 'another');
is(says(user('WEB.example.com')), "web WEB.example.com\n", 'once more');

is(count_log($entry, qr/group "\w+" has a user, . of 2 groups of upstream /
    . qr/"agents" are used/), 2, 'made once');
ok(wait_log($entry, qr/^WEB\.example\.com web \w+ 200$/, file => 'access.log'),
    'variables');

# names that are in no list, or in a wrong one

is(user('other.example.com'), undef, 'unknown name');
is(user(''), undef, 'no name');
is(user('bad.example.com'), undef, 'no valid name of a group');
is(user('long.example.com'), undef, 'too long a name');

ok(wait_log($entry, qr/\[info\].* stream was refused: its group is empty, dest/,
    count => 2), 'empty');
ok(wait_log($entry, qr/\[info\].* refused: invalid group "not a\\x0Aname", /),
    'invalid');
ok(wait_log($entry, qr/^other\.example\.com  not allowed 403$/,
    file => 'access.log'), 'status');

# one more than there may be

my $web = user('web.example.com');
is(user('three.example.com'), undef, 'too many groups');
is(user('three.example.com'), undef, 'and still');

ok(wait_log($entry, qr/^three\.example\.com three over the limit 503$/,
    count => 2, file => 'access.log'), 'status');
is(count_log($entry, qr/\[warn\].* upstream "agents" has 2 groups, users of /),
    1, 'one warning');

# a group without users gives way

my $unused = qr/group "web" of upstream "agents" is not used, its tunnels /;
my $before = count_log($entry, $unused);

close $web;

ok(wait_log($entry, $unused, count => $before + 1), 'given up');
is(says(user('three.example.com')), "three three.example.com\n",
    'another has its place');
ok(wait_log($entry, qr/group "three" of upstream .* is not used/),
    'given up, too');

# one with users does not

is(says($git, "second\n"), "second\n", 'still used');
is(count_log($entry, qr/group "git" of upstream .* is not used/), 0, 'kept');

close $git;

ok(wait_log($entry, qr/group "git" of upstream .* is not used/), 'the last one');
ok(wait_for(sub { fd_count(worker_pids($entry)) == $descriptors }),
    'all tunnels are closed');

$git = user('git.example.com');
is(says($git, "again\n"), "again\n", 'used again');

# a reload: users stay, and others find their way

reload_and_wait($entry);
is(says($git, "third\n"), "third\n", 'after a reload');
is(says(user('web.example.com')), "web web.example.com\n", 'a new user');

close $git;


sub user {
    my ($name) = @_;

    return IO::Socket::SSL->new(
        PeerAddr => '127.0.0.1',
        PeerPort => port(8080),
        SSL_hostname => $name,
        SSL_verify_mode => 0,
        Timeout => 30,
    );
}


sub says {
    my ($s, $text) = @_;

    return 'no connection' if !$s;

    syswrite $s, $text if defined $text;
    return scalar <$s>;
}
