package Test::Nginx::TRP::Proxies;

# HTTP and SOCKS5 proxies for agents: those of Debian, and one that behaves as
# a test wants it to.  All take connections on a port of 127.0.0.1, user alice
# with the password "secret" where they ask for one.
#
#     squid($t, $port, auth => 'digest', hosts => '127.0.0.1 relay.example');
#     tinyproxy($t, $port, auth => 1);
#     dante($t, $port);
#     microsocks($t, $port, auth => 1);
#
#     proxy($t, $port, sub { my ($client, $head, $n) = @_; ... });
#
# Each returns a true value when the proxy listens; the real ones return nothing
# if the program is not there.

use strict;
use warnings;

use Digest::MD5 qw/ md5_hex /;
use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::IP;
use Socket qw/ SHUT_WR /;

use Test::Nginx;
use Test::Nginx::TRP::Programs;
use Test::Nginx::TRP::Servers;
use Test::Nginx::TRP::Waiting;

our @EXPORT = qw/
    squid tinyproxy dante microsocks proxy head_of relay_bytes
/;


# Options: auth, "basic" or "digest"; hosts, the lines of a file of hosts; more,
# other lines of its configuration; deny, a port that it does not connect to;
# name, if there are several of them in one directory.

sub squid {
    my ($t, $port, %opts) = @_;
    my $squid = executable('squid') or return;
    my $dir = $t->testdir();
    my $name = $opts{name} || 'squid';
    my $auth = $opts{auth} || '';
    my $more = $opts{more} || '';
    my $deny = $opts{deny} || 1;

    # squid leaves root's identity

    chmod 0755, $dir;

    $t->write_file("$name.hosts", ($opts{hosts} || '') . "\n");
    $t->write_file("$name.basic", 'alice:'
        . crypt('secret', '$1$saltsalt$') . "\n");
    $t->write_file("$name.digest", 'alice:trp:'
        . md5_hex('alice:trp:secret') . "\n");

    my $access = $auth ? "acl known proxy_auth REQUIRED\n"
        . "http_access allow known" : "http_access allow all";

    my $param = !$auth ? ''
        : $auth eq 'basic' ? "auth_param basic program"
            . " /usr/lib/squid/basic_ncsa_auth $dir/$name.basic\n"
            . "auth_param basic realm trp\n"
        : "auth_param digest program"
            . " /usr/lib/squid/digest_file_auth -c $dir/$name.digest\n"
            . "auth_param digest realm trp\n";

    $t->write_file("$name.conf", <<"EOC");
http_port 127.0.0.1:$port
pid_filename none
cache_log /dev/null
access_log none
netdb_filename none
cache deny all
cache_mem 1 MB
hosts_file $dir/$name.hosts
coredump_dir $dir
shutdown_lifetime 0 seconds
visible_hostname squid.example
acl denied port $deny
http_access deny denied
$param$more
$access
http_access deny all
EOC

    $t->run_daemon($squid, '-N', '-n', "trp$port", '-f',
        "$dir/$name.conf");

    return $t->waitforsocket("127.0.0.1:$port");
}


sub tinyproxy {
    my ($t, $port, %opts) = @_;
    my $tinyproxy = executable('tinyproxy') or return;
    my $dir = $t->testdir();
    my $auth = $opts{auth} ? 'BasicAuth alice secret' : '';

    $t->write_file('tinyproxy.conf', <<"EOC");
Port $port
Listen 127.0.0.1
Timeout 600
MaxClients 100
LogLevel Info
LogFile "$dir/tinyproxy.log"
Allow 127.0.0.1
$auth
EOC

    $t->run_daemon($tinyproxy, '-d', '-c', "$dir/tinyproxy.conf");

    return $t->waitforsocket("127.0.0.1:$port");
}


# allows connections to 127.0.0.0/8; its users would be those of the system

sub dante {
    my ($t, $port) = @_;
    my $danted = executable('danted') or return;
    my $dir = $t->testdir();

    $t->write_file('danted.conf', <<"EOC");
logoutput: $dir/danted.log
internal: 127.0.0.1 port = $port
external: lo
socksmethod: none
clientmethod: none
user.privileged: root
user.unprivileged: nobody

client pass {
    from: 0.0.0.0/0 to: 0.0.0.0/0
}

socks pass {
    from: 0.0.0.0/0 to: 127.0.0.0/8
    protocol: tcp
    command: connect
}
EOC

    $t->run_daemon($danted, '-f', "$dir/danted.conf", '-p',
        "$dir/danted.pid");

    return $t->waitforsocket("127.0.0.1:$port");
}


sub microsocks {
    my ($t, $port, %opts) = @_;
    my $microsocks = executable('microsocks') or return;
    my @auth = $opts{auth} ? qw/ -u alice -P secret / : ();

    # it says each connection

    $t->run_daemon('sh', '-c', 'exec "$@" 2> /dev/null', 'sh', $microsocks,
        '-i', $opts{host} || '127.0.0.1', '-p', $port, @auth);

    return wait_for(sub { IO::Socket::IP->new(
        PeerHost => $opts{host} || '127.0.0.1', PeerPort => $port) });
}


# A proxy of the test's own: for each connection, which is the "n"th from 1 on,
# the code gets the socket, in a process of its own, which ends with it.

sub proxy {
    my ($t, $port, $code) = @_;
    my $server = listener($port);

    $t->run_daemon(sub {
        local $SIG{CHLD} = 'IGNORE';
        my $n = 0;

        while (my $client = $server->accept()) {
            $n++;
            my $pid = fork();
            die "can't fork: $!\n" if !defined $pid;

            if ($pid == 0) {
                close $server;
                $code->($client, $n);
                exec '/bin/true';
            }

            close $client;
        }
    });

    close $server;
    return 1;
}


# the header of a request; nothing at the end of the connection

sub head_of {
    my ($client) = @_;
    my $head = '';

    while ($head !~ /\r\n\r\n\z/) {
        sysread $client, $head, 1, length $head or return;
    }

    return $head;
}


# connects to HOST:PORT and passes all bytes on, in both directions

sub relay_bytes {
    my ($client, $to) = @_;
    my $server = IO::Socket::INET->new($to) or return;
    my %other = ($client => $server, $server => $client);
    my $select = IO::Select->new($client, $server);

    while ($select->count()) {
        for my $from ($select->can_read()) {
            my $n = sysread $from, my $buf, 65536;

            if (!$n) {
                return if !defined $n;
                $select->remove($from);
                shutdown $other{$from}, SHUT_WR;
                next;
            }

            while (length $buf) {
                my $sent = syswrite $other{$from}, $buf;
                return if !$sent;
                substr $buf, 0, $sent, '';
            }
        }
    }
}


1;
