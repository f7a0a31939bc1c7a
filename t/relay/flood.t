#!/usr/bin/perl

# Tests for floods of connections that never authenticate: their number stays
# bounded, the oldest gives way, and agents that mean well are let in.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Errno qw/ EAGAIN EWOULDBLOCK /;
use IO::Socket::IP;
use POSIX ();

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

use constant { ALL => 64, SAME => 8 };

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

# ::1 is not everywhere

my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1) ? 1 : 0;
my $listen = !$ipv6 ? '' : 'listen [::1]:%%PORT_8443%% ssl; '
    . 'listen [::ffff:127.0.0.1]:%%PORT_8444%% ssl ipv6only=off;';

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
    worker_connections 1024;
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        LISTEN
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_auth_timeout 10m;
        trp_relay_max_unauthenticated 64;
        trp_relay_max_per_address 8;
        trp_authorized_keys authorized_keys;
    }
}

EOC

$relay->write_file_expand('nginx.conf', $conf =~ s/LISTEN/$listen/r);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=2;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8081%% bind=127.0.0.1;
        proxy_half_close on;
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

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=2;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $entry, $reverse);
$relay->write_file('authorized_keys',
    join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

serve($reverse, port(8081), 'echo');

my $flooder;
my $hello = client_hello('trp/2');

# what a stranger sends, and then nothing

my %kinds = (
    'nothing' => '',
    'half a ClientHello' => substr($hello, 0, 100),
    'a ClientHello' => $hello,
    'no AUTH' => undef,
);

$relay->run()->plan(5 * keys(%kinds) + 8 + 2 * 2);

my $worker;
wait_for(sub { ($worker) = worker_pids($relay) });

# once before, so that memory is what it is after a flood

my ($fds, $memory);

for my $data (values %kinds) {
    my @strangers = flood($data);
    undef @strangers;
    ($fds, $memory) = settled($worker);
}

for my $kind (sort keys %kinds) {
    one_address($kind, $kinds{$kind});
    settled($worker);

    my @many = flood($kinds{$kind});
    ok(wait_for(sub { tcp_count(port(8443)) <= ALL }), "$kind: from many");
    is(open_count(@many), ALL, "$kind: all that there may be");
    undef @many;
    settled($worker);
}

# other kinds of addresses

SKIP: {
    skip 'no IPv6', 2 if !$ipv6;

    my @all = map { stranger(from => '::1', to => '::1') } 1 .. 3 * SAME;
    ok(wait_for(sub { open_count(@all) == SAME }), 'IPv6');
    @all = ();
    settled($worker);

    # an address is the same in both of its forms

    @all = map { stranger(from => '127.0.1.1', port => $_ % 2 ? 8443 : 8444) }
        1 .. 3 * SAME;
    ok(wait_for(sub { open_count(@all) == SAME }), 'mapped');
    @all = ();
    settled($worker);
}

# while it goes on, from many addresses

$flooder = flooder(grep { defined } values %kinds);

wait_log($relay, qr/too many in this worker/);

$reverse->run();
$entry->run();

ok(wait_for(sub { visit(port(8080)) }), 'a user');
is(scalar(grep { visit(port(8080)) } 1 .. 20), 20, 'users');

stop_flooder();

$_->stop() for $entry, $reverse;

my ($fds_after, $memory_after) = settled($worker);
cmp_ok($fds_after, '<=', $fds, 'descriptors');

SKIP: {
    skip 'memory is not given back under a sanitizer', 1
        if $ENV{ASAN_OPTIONS};

    cmp_ok($memory_after - $memory, '<', 4096, 'memory');
}

ok(wait_for(sub { grep { $_ == $worker } worker_pids($relay) }),
    'the same worker');
is(count_log($relay, qr/\[(?:warn|error|crit|alert|emerg)\]/), 0,
    'nothing but info');


# the first ones stay, as long as a moment; then the oldest gives way

sub one_address {
    my ($kind, $data) = @_;
    my @all = map { stranger(from => '127.0.1.1', data => $data) }
        1 .. 2 * SAME;

    ok(wait_for(sub { open_count(@all) == SAME }), "$kind: from one");

    my ($first, $second) = grep { !is_closed($_) } @all;
    my $new;

    wait_for(sub {
        $new = stranger(from => '127.0.1.1');
        wait_for(sub { is_closed($first) || is_closed($new) });
        return is_closed($first);
    });

    ok(is_closed($first), "$kind: the oldest gives way");
    ok(!is_closed($second) && !is_closed($new), "$kind: and no other one");
}


sub stop_flooder {
    return if !$flooder;
    local $?;
    kill 'KILL', $flooder;
    waitpid $flooder, 0;
    undef $flooder;
}


END {
    stop_flooder();
}


sub flood {
    my ($data) = @_;

    return map { my $n = $_;
        map { stranger(from => "127.0.2.$n", data => $data) } 1 .. SAME
    } 1 .. 2 * ALL / SAME;
}


# floods until it is killed

sub flooder {
    my (@data) = @_;
    my $pid = fork();

    die "can't fork: $!\n" if !defined $pid;
    return $pid if $pid;

    undef $flooder;
    my @all;

    for (my $n = 0; ; $n++) {
        push @all, stranger(from => '127.0.3.' . (1 + $n % 16),
            data => $data[$n % @data]);
        @all = grep { !is_closed($_) } @all if @all > 4 * ALL;
    }
}


# a connection, or undef if it was closed too early to have a handshake; data
# is what it sends first, undef: TLS

sub stranger {
    my (%opts) = @_;
    my $port = port($opts{port} || 8443);

    local $SIG{PIPE} = 'IGNORE';
    $opts{data} = '' if !exists $opts{data};

    return eval { Test::Nginx::TRP::Client->new(port => $port,
        LocalAddr => $opts{from}) } if !defined $opts{data};

    my $s = IO::Socket::IP->new(PeerHost => $opts{to} || '127.0.0.1',
        PeerPort => $port, LocalHost => $opts{from}) or return;

    syswrite $s, $opts{data};
    $s->blocking(0);

    return $s;
}


sub open_count {
    return scalar grep { !is_closed($_) } @_;
}


# reads beneath TLS what nobody needs

sub is_closed {
    my ($s) = @_;

    return 1 if !defined $s;

    my $fd = fileno($s->isa('Test::Nginx::TRP::Client') ? $s->socket() : $s);

    while (1) {
        my $n = POSIX::read($fd, my $data, 65536);
        return $! != EAGAIN && $! != EWOULDBLOCK if !defined $n;
        return 1 if $n == 0;
    }
}


# nobody is there; descriptors and memory

sub settled {
    my ($pid) = @_;
    my $last = -1;

    wait_for(sub { tcp_count(port(8443)) + tcp_count(port(8444)) == 0 });
    wait_for(sub {
        my $n = fd_count($pid);
        my $same = $n == $last;
        $last = $n;
        return $same;
    });

    return ($last, private_memory($pid));
}
