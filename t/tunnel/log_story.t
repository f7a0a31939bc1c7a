#!/usr/bin/perl

# One story in the logs: for each refusal and abort one line on each role,
# with the connection's id, its destination, its group, the agents, and why.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl stream_access /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format id "$trp_stream_id $trp_destination_port $trp_status";
    access_log %%TESTDIR%%/access.log id;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
        trp_relay_open_timeout 1s;
    }
}

EOC

my $upstream = <<'EOC';
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_name near;
        trp_entry_ssl_trusted_certificate localhost.crt;
EOC

$entry->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format id "\$trp_stream_id \$trp_destination_port \$trp_status";
    access_log %%TESTDIR%%/access.log id;

    proxy_half_close on;

    upstream relay {
$upstream
        trp_entry_key any;
    }

    upstream permit {
$upstream
        trp_entry_key permit;
    }

    upstream limit {
$upstream
        trp_entry_key limit;
    }

    upstream nobody {
$upstream
        trp_entry_key any;
        trp_entry_group nobody;
    }

    upstream short {
$upstream
        trp_entry_key any;
        trp_entry_group short;
    }

    upstream deny {
$upstream
        trp_entry_key any;
        trp_entry_group deny;
    }

    upstream hasty {
$upstream
        trp_entry_key any;
        trp_entry_group slow;
        trp_entry_open_timeout 300ms;
    }

    upstream slow {
$upstream
        trp_entry_key any;
        trp_entry_group slow;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;
        trp_route %%PORT_8082%%:%%PORT_8092%% bind=127.0.0.1;
        trp_route %%PORT_8083%%:nowhere.invalid:%%PORT_8093%% bind=127.0.0.1;
        trp_route %%PORT_8084%%:10.0.0.1:%%PORT_8094%% bind=127.0.0.1;
        trp_route 10.0.0.0/8:%%PORT_8085%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8086%%:%%PORT_8095%% bind=127.0.0.1;
        trp_route %%PORT_8104%%:%%PORT_8096%% bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_route %%PORT_8105%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass deny;
    }

    server {
        trp_route %%PORT_8087%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass permit;
    }

    server {
        trp_route %%PORT_8088%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass limit;
    }

    server {
        trp_route %%PORT_8089%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass nobody;
    }

    server {
        trp_route %%PORT_8100%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass short;
    }

    server {
        trp_route %%PORT_8101%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
        proxy_timeout 300ms;
    }

    server {
        trp_route %%PORT_8102%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
        deny all;
    }

    server {
        trp_route %%PORT_8103%%:%%PORT_8092%% bind=127.0.0.1;
        proxy_pass hasty;
    }

    server {
        trp_route %%PORT_8106%%:%%PORT_8092%% bind=127.0.0.1;
        proxy_pass slow;
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

    error_log %%TESTDIR%%/error.log info;

    log_format id "$trp_stream_id $trp_destination_port $trp_status";
    access_log %%TESTDIR%%/access.log id;

    proxy_half_close on;
    proxy_connect_timeout 1s;

    upstream relay {
        server 127.0.0.1:8443;
    }

    trp_reverse_key any;
    trp_reverse_name far;
    trp_reverse_ssl_trusted_certificate localhost.crt;
    trp_reverse_allow 127.0.0.1;

    server {
        trp_reverse relay;
        proxy_pass $trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group short;
        proxy_pass $trp_destination;
        proxy_timeout 300ms;
    }

    server {
        trp_reverse relay;
        trp_reverse_group slow;
        proxy_pass $trp_destination;
        proxy_connect_timeout 60s;
    }

    server {
        trp_reverse relay;
        trp_reverse_group deny;
        proxy_pass $trp_destination;
        deny all;
    }
}

EOC

trp_cert($relay, $entry, $reverse);

$relay->write_file('authorized_keys', join "\n",
    trp_keys($entry, 'any'),
    'permitopen="127.0.0.1:1" ' . trp_keys($entry, 'permit'),
    'limit="streams=1" ' . trp_keys($entry, 'limit'),
    trp_keys($reverse, 'any'), '');

serve($relay, port(8090), 'hello', data => "x\n");
serve($relay, port(8095), 'reset', after => 5);
$relay->run_daemon(\&drip, listener(port(8096)));
my $full = full_listener(port(8092));

my @roles = ($entry, $relay, $reverse);
my @names = qw/ entry relay reverse /;

$_->todo_alerts() for @roles;

$relay->run();
$reverse->run();
$entry->run()->plan(54 + 4);

ok(wait_log($relay, qr/reverse "far" .* has a tunnel/, count => 16), 'reverse');
ok(wait_log($relay, qr/entry "near" .* has a tunnel/, count => 32), 'entry');

# what is said of each user, by the roles that have seen him: the reason

my @stories;

story('destination refuses', '127.0.0.1:' . port(8091), '0',
    sub { end_of(connect_to(port(8081))) },
    qr/refused: refused/, qr/: refused/, qr/refused: refused/);

story('destination does not answer', '127.0.0.1:' . port(8092), '0',
    sub { end_of(connect_to(port(8082))) },
    qr/refused: timed out/, qr/: timed out/, qr/refused: timed out/);

story('no such host', 'nowhere.invalid:' . port(8093), '0',
    sub { end_of(connect_to(port(8083))) },
    qr/: no such host/, qr/: no such host/, qr/: no such host/);

story('trp_reverse_allow', '10.0.0.1:' . port(8094), '0',
    sub { end_of(connect_to(port(8084))) },
    qr/: not allowed/, qr/: not allowed/, qr/by "trp_reverse_allow"/);

story('deny at the reverse', '127.0.0.1:' . port(8090), 'deny',
    sub { end_of(connect_to(port(8105))) },
    qr/: not allowed/, qr/: not allowed/, qr/: not allowed/);

story('permitopen', '127.0.0.1:' . port(8090), '0',
    sub { end_of(connect_to(port(8087))) },
    qr/: not allowed, by "permitopen",/, qr/by "permitopen"/);

my $first = user(8088);
story('limit', '127.0.0.1:' . port(8090), '0',
    sub { end_of(connect_to(port(8088))) },
    qr/: over the limit, the key has too many streams,/,
    qr/the key has too many streams/);
close $first;
wait_log($entry, qr/ ok$/, file => 'access.log') or die "is not closed\n";

story('no reverse', '127.0.0.1:' . port(8090), 'nobody',
    sub { end_of(connect_to(port(8089))) },
    qr/: no agent, no reverse was there,/, qr/no reverse/);

story('user resets', '127.0.0.1:' . port(8090), '0',
    sub { abort(user(8080)) },
    qr/user's .* reset/, qr/reset by the entry/, qr/reset by the far end/);

story('user half-closes, resets', '127.0.0.1:' . port(8096), '0', sub {
        my $s = user(8104);
        shutdown $s, 1;
        readline $s;
        abort($s);
    },
    qr/user's .* reset/, qr/reset by the entry/, qr/reset by the far end/);

story('user goes while it is opened', '127.0.0.1:' . port(8092), 'slow', sub {
        my $before = dialling(port(8092));
        my $s = connect_to(port(8106));
        wait_for(sub { dialling(port(8092)) > $before });
        abort($s);
    },
    qr/user's .* reset/, qr/reset by the entry/, qr/reset by the far end/);

story('entry: not in time', '127.0.0.1:' . port(8092), 'slow',
    sub { end_of(connect_to(port(8103))) },
    qr/not opened in time/, qr/reset by the entry/, qr/reset by the far end/);

story('destination resets', '127.0.0.1:' . port(8095), '0', sub {
        my $s = connect_to(port(8086));
        syswrite $s, '12345';
        end_of($s);
    },
    qr/reset by the far end/, qr/reset by the reverse/,
    qr/destination's .* reset/);

story('entry: proxy_timeout', '127.0.0.1:' . port(8090), '0',
    sub { end_of(user(8101)) },
    qr/timed out|proxy_timeout|idle/, qr/reset by the entry/,
    qr/reset by the far end/);

story('reverse: proxy_timeout', '127.0.0.1:' . port(8090), 'short',
    sub { end_of(user(8100)) },
    qr/reset by the far end/, qr/reset by the reverse/,
    qr/timed out|proxy_timeout|idle/);

# workers that die say nothing

my $s = user(8080);
story('reverse dies', '127.0.0.1:' . port(8090), '0',
    sub { dies($reverse, $relay, 'reverse "far"', 16); end_of($s) },
    qr/reset by the far end/, qr/tunnel of the reverse was lost/, undef);

$s = user(8080);
story('entry dies', '127.0.0.1:' . port(8090), '0',
    sub { dies($entry, $relay, 'entry "near"', 32); end_of($s) },
    undef, qr/tunnel of the entry was lost/, qr/reset by the far end/);

$s = user(8080);
story('relay dies', '127.0.0.1:' . port(8090), '0',
    sub { kill 'KILL', worker_pids($relay); end_of($s) },
    qr/tunnel was lost/, undef, qr/tunnel was lost/);

# the same again, when everything has been said

for my $story (@stories) {
    my ($name, $id, $destination, $group, @why) = @$story;

    for my $i (grep { $why[$_] } 0 .. $#why) {
        is(told($i, $id, $destination, $group, $why[$i], defined $why[2]),
            'all', "$name: $names[$i]");
    }
}

is((grep { !defined $_->[1] } @stories), 0, 'each has an id');

# a user whom the entry turns away is never a stream

end_of(connect_to(port(8085)));
ok(wait_log($entry, qr/ "127\.0\.0\.1:@{[port(8090)]}".* client: /),
    "the route's source");

end_of(connect_to(port(8102)));
ok(wait_log($entry, qr/access forbidden by rule/), 'deny');
is(count_log($entry, qr/ @{[port(8090)]} ok$/, file => 'access.log'), 1,
    'is not ok');


# makes it happen, and waits until all roles have said something

sub story {
    my ($name, $destination, $group, $code, @why) = @_;
    my ($witness) = map { $roles[$_] } grep { $why[$_] } 0 .. 1;
    my $n = count_log($witness, qr/./, file => 'access.log');

    $code->();

    my $id = wait_for(sub {
        my @lines = split /\n/, $witness->read_file('access.log');
        return @lines > $n && $lines[$n] =~ /^(\w{16}) / ? $1 : 0;
    });

    for my $i (grep { $why[$_] } 0 .. $#why) {
        wait_log($roles[$i], qr/stream: $id/);
        wait_log($roles[$i], qr/^$id /, file => 'access.log');
    }

    push @stories, [ $name, $id, $destination, $group, @why ];
}


sub told {
    my ($i, $id, $destination, $group, $why, $far) = @_;
    my $role = $names[$i];

    my @lines = grep { /stream: $id/ && !/\[debug\]/ }
        split /\n/, $roles[$i]->read_file('error.log');
    my $text = "\n" . join "\n", @lines;

    return @lines . " lines$text" if @lines != 1;
    return "why?$text" if $text !~ $why;
    return "which destination?$text" if $text !~ /"\Q$destination\E"/;
    return "which group?$text" if $text !~ /group:? "$group"/;
    return "which entry?$text"
        if $role eq 'relay' && $text !~ /entry "near" \(\w+\) at 127\.0\.0\.1/
        || $role eq 'reverse' && $text !~ /entry: "near"/;
    return "which reverse?$text"
        if $role eq 'relay' && $far
        && $text !~ /reverse "far" \(any\) at 127\.0\.0\.1/;
    return "which relay?$text"
        if $role ne 'relay' && $text !~ /"?127\.0\.0\.1:@{[port(8443)]}"?/;

    my $access = count_log($roles[$i], qr/^$id /, file => 'access.log');
    return $access == 1 ? 'all' : "$access lines in access.log";
}


sub dies {
    my ($t, $relay, $who, $tunnels) = @_;
    my $re = qr/$who .* has a tunnel/;
    my $n = count_log($relay, $re);

    kill 'KILL', worker_pids($t);
    wait_log($relay, $re, count => $n + $tunnels) or die "is not back\n";
}


sub user {
    my ($port) = @_;

    my $s = connect_to(port($port));
    readline $s;
    return $s;
}


# a server that sends a line now and then as long as anybody is there

sub drip {
    my ($listener) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $s = $listener->accept();
    select undef, undef, undef, 0.02 while syswrite $s, "x\n";
    sleep 3600;
}
