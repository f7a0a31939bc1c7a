#!/usr/bin/perl

# More users than worker_connections, or the descriptors of a worker, carry:
# tunnels leave room for streams, at the reverse, the entry and the relay.  As
# many are served as there is room for, and when they are gone, the next one
# is served as always.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;

# where it is narrow, the limits there, how many users that carries; each has
# three connections at an agent, two at the relay, and some are nginx's own

my @cases = (
    [ 'reverse', 'worker_connections 100', '', 26 ],
    [ 'entry', 'worker_connections 100', '', 26 ],
    [ 'relay', 'worker_connections 100', '', 32 ],
    [ 'reverse', 'worker_connections 4096', 'worker_rlimit_nofile 120;', 26 ],
    [ 'entry', 'worker_connections 4096', 'worker_rlimit_nofile 120;', 26 ],
    [ 'relay', 'worker_connections 4096', 'worker_rlimit_nofile 120;', 32 ],
);

# and two checks of each nginx when it goes

plan(tests => (8 + 3 * 2) * @cases);

overload(@$_) for @cases;


sub overload {
    my ($narrow, $events, $main, $carries) = @_;
    my $name = "$narrow, " . ($main || $events);
    my ($relay, $entry, $reverse) = map { Test::Nginx->new() } 1 .. 3;
    my %t = (relay => $relay, entry => $entry, reverse => $reverse);

    for my $role (keys %t) {
        my $conf = conf($role);

        my $wide = $role ne $narrow;
        $conf =~ s/EVENTS/$wide ? 'worker_connections 4096' : $events/e;
        $conf =~ s/MAIN/$wide ? '' : $main/e;

        $t{$role}->write_file_expand('nginx.conf', $conf);
    }

    trp_cert($relay, $entry, $reverse);
    $relay->write_file('authorized_keys', join "\n",
        trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

    serve($relay, port(8081), 'echo');

    $relay->run();
    $entry->run();
    $reverse->run();

    wait_log($relay, qr/ has a tunnel /, count => 8);

    # they come at once and stay

    my @users = grep { defined } map { user() } 1 .. 150;

    my $most = 0;
    wait_for(sub {
        my $now = grep { answered($_) } @users;
        $most = $now if $now > $most;
        return $most >= $carries;
    }, 20);

    cmp_ok($most, '>=', $carries, "$name: served at once");

    # those who are served stay so

    my @served = grep { $_->{in} ne '' } @users;
    is(scalar(grep { again($_) } @served), @served, "$name: again");

    # they go, and others come instead

    $_->{socket}->close() for @users;

    ok(wait_for(sub { user_is_served() }, 20), "$name: afterwards");

    # as long as the load goes on, it is not less than before

    my @next = grep { defined } map { user() } 1 .. 150;
    $most = 0;
    wait_for(sub {
        my $now = grep { answered($_) } @next;
        $most = $now if $now > $most;
        return $most >= $carries;
    }, 20);

    cmp_ok($most, '>=', $carries, "$name: once more");
    $_->{socket}->close() for @next;

    if ($narrow eq 'relay') {
        pass("$name: no pool");

    } else {
        is(count_log($t{$narrow}, qr/"trp_${narrow}_pool" has up to \d+ tunnels/),
            1, "$name: said once");
    }

    for my $t ($relay, $entry, $reverse) {
        my $log = $t->read_file('error.log');
        $t->stop();
        $log = join "\n", grep { /\[alert\]/ && !/ are not enough|accept/ }
            split /\n/, $log;
        is($log, '', "$name: alerts");
        unlink $t->testdir() . '/error.log';
    }
}


sub user {
    my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080)) or return;

    $s->blocking(0);
    local $SIG{PIPE} = 'IGNORE';
    syswrite $s, 'hello';

    return { socket => $s, in => '' };
}


sub answered {
    my ($user) = @_;
    sysread $user->{socket}, $user->{in}, 100, length $user->{in};
    return $user->{in} ne '';
}


sub again {
    my ($user) = @_;
    my $length = length $user->{in};

    local $SIG{PIPE} = 'IGNORE';
    syswrite $user->{socket}, 'hello';

    return wait_for(sub {
        answered($user);
        return length $user->{in} == $length + 5;
    }, 10);
}


sub user_is_served {
    my $user = user() or return 0;
    return wait_for(sub { answered($user) }, 2);
}


sub conf {
    my ($role) = @_;

    my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
MAIN

events {
    EVENTS;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
EOC

    return $head . <<'EOC' if $role eq 'relay';

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

    return $head . <<'EOC' if $role eq 'entry';

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool max=1000;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

    return $head . <<'EOC';

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool max=1000;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC
}
