#!/usr/bin/perl

# Tests for pools: they grow with demand up to "max", where the rest waits,
# and shrink again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;

use Test::Nginx;
use Test::Nginx::TRP;

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_open_timeout 1h;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2 max=64;
        trp_entry_name wide;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass relay;
    }

    upstream narrow {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2 max=8;
        trp_entry_group narrow;
        trp_entry_name narrow;
        trp_entry_open_timeout 1h;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8090%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_pass narrow;
    }
}

EOC

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 4096;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    proxy_half_close on;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }

    upstream narrow {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse narrow;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2;
        trp_reverse_group narrow;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8081), 'echo');

$relay->run();
$entry->run();
$reverse->run()->plan(17 + 4);

ok(wait_log($relay, qr/ has a tunnel /, count => 8), 'idle tunnels');

# all at once

my @users = map { talking(8080) } 1 .. 50;
is(answered(@users), 50, 'fifty at once');
my $wide = tcp_count(port(8443));
cmp_ok($wide, '>=', 100, "their tunnels: $wide");

# no more than "max" at once

my @narrow = map { talking(8090) } 1 .. 20;

ok(wait_for(sub { answered(@narrow) >= 8 }), 'eight are served');
is(echoes($_), 1, 'again') for grep { $_->{in} ne '' } @narrow;
is(answered(@narrow), 8, 'and no others');
is(count_log($relay, qr/entry "narrow" .* has a tunnel/), 8, '"max" tunnels');

# those who wait get a tunnel as soon as one is free

my $served = 0;

while (@narrow) {
    my ($user) = grep { answered($_) } @narrow;
    last if !wait_for(sub {
        return ($user) = grep { answered($_) } @narrow;
    });
    $user->{socket}->close();
    @narrow = grep { $_ != $user } @narrow;
    $served++;
}

is($served, 20, 'all are served, one after another');

# the demand is over

$_->{socket}->close() for @users;

ok(wait_for(sub { tcp_count(port(8443)) < $wide / 2 }, 90),
    'the pools shrink');

my $user = talking(8080);
ok(wait_for(sub { answered($user) }), 'and still work');
$user->{socket}->close();


# what was sent comes back when there is a stream

sub talking {
    my ($port) = @_;
    my $s = IO::Socket::INET->new('127.0.0.1:' . port($port))
        or die "can't connect: $!\n";

    syswrite $s, 'hello';
    $s->blocking(0);
    return { socket => $s, in => '' };
}


# how many have got it

sub answered {
    my (@users) = @_;

    if (@users == 50) {
        wait_for(sub { 50 == grep { _answered($_) } @users });
    }

    return scalar grep { _answered($_) } @users;
}


sub _answered {
    my ($user) = @_;
    sysread $user->{socket}, $user->{in}, 100, length $user->{in};
    return $user->{in} =~ /^(?:hello)+\z/;
}


sub echoes {
    my ($user) = @_;
    my $length = length $user->{in};

    syswrite $user->{socket}, 'hello';
    return wait_for(sub {
        _answered($user);
        return length $user->{in} == $length + 5;
    });
}
