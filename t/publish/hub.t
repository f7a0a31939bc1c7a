#!/usr/bin/perl

# Tests for services at a local entry with several workers: a port and a name,
# two agents for one name of which one is killed, a killed worker, reloads of
# both sides, and a key that loses its permission.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::SSL qw/ SSL_VERIFY_NONE /;

use Test::Nginx;
use Test::Nginx::TRP;

my $hub = Test::Nginx->new()
    ->has(qw/ http http_ssl stream stream_ssl stream_ssl_preread /);
my @agents = map { Test::Nginx->new() } 0 .. 1;

$hub->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes 3;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "\$trp_destination \$trp_group \$trp_status";
    access_log %%TESTDIR%%/stream.log trp;

    proxy_half_close on;

    upstream published {
        trp_entry local;
    }

    server {
        listen 127.0.0.1:8433 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    server {
        listen 127.0.0.1:8080 reuseport;
        trp_publish;
        proxy_pass published;
    }

    server {
        listen 127.0.0.1:8443 reuseport;
        ssl_preread on;
        trp_publish \$ssl_preread_server_name;
        proxy_pass published;
    }
}

EOC

agent_conf($_, "%%PORT_8080%% 127.0.0.1:%%PORT_809$_%%",
    "git.example 127.0.0.1:%%PORT_845$_%%") for 0 .. 1;

trp_cert($hub, @agents);

my $key = trp_keys($agents[0], 'reverse');

for my $agent (@agents) {
    $agent->write_file('localhost.key', $hub->read_file('localhost.key'));
    $agent->write_file('reverse', $agents[0]->read_file('reverse'));
    chmod 0600, $agent->testdir() . '/reverse';
}

my $permit = 'permitlisten="' . port(8080) . ',*.example,git.example" ';

$hub->write_file('authorized_keys', $permit . $key);
$hub->run();
$_->run() for @agents;

wait_log($_, qr/"git\.example" is published/) for @agents;
$hub->todo_alerts()->plan(16 + 2 * 2);

# both ways, from every worker, to both agents

my @port = map { get() } 1 .. 12;
my @name = map { tls('git.example') } 1 .. 12;

is(scalar(grep { /^port [01]$/ } @port), 12, 'a port');
is(scalar(grep { /^name [01]$/ } @name), 12, 'a name');
is(join(',', uniq(@port, @name)), 'name 0,name 1,port 0,port 1',
    'the agents share the users');
is(tls('nobody.example'), undef, 'a name that nobody has');
wait_log($hub, qr/^nobody\.example .* not published$/m, file => 'stream.log');
pass('its status');

# an agent is killed, the other one serves

$agents[0]->stop();
is(join(',', uniq(map { get(), tls('git.example') } 1 .. 6)), 'name 1,port 1',
    'one agent is left');

# a reload of the hub: users wait for the agent that is on its way

$hub->reload();
is(scalar(grep { defined && /1$/ } map { get(), tls('git.example') } 1 .. 12),
    24, 'a reload of the hub');

# a worker is killed: another one has its group

kill 'KILL', $_ for worker_pids($hub);
is(wait_for(sub { my $r = get(); $r && $r eq 'port 1' }), 1,
    'all workers are killed');
is(tls('git.example'), 'name 1', 'and the name');

# the agent has another list

agent_conf(1, 'other.example 127.0.0.1:%%PORT_8451%%');
$agents[1]->reload();
wait_log($agents[1], qr/"other\.example" is published/);
is(tls('other.example'), 'name 1', 'a new name');
is(wait_for(sub { !defined tls('git.example') }), 1, 'an old one is gone');
is(get(), undef, 'and an old port');

# the key loses its permission, and the users of its services

my $user = IO::Socket::SSL->new(
    PeerAddr => '127.0.0.1:' . port(8443),
    SSL_hostname => 'other.example',
    SSL_verify_mode => SSL_VERIFY_NONE,
);

$hub->write_file('authorized_keys', 'permitlisten="one.example" ' . $key);
$hub->reload();
wait_log($agents[1], qr/"other\.example" is not published/);
is(wait_for(sub { !defined tls('other.example') }), 1, 'not permitted');
wait_log($hub, qr/may not publish "other\.example" any more/);
ok(!sysread($user, my $rest, 1), 'the stream has ended');

# and gets it back

$hub->write_file('authorized_keys', $permit . $key);
$hub->reload();
is(wait_for(sub { (tls('other.example') || '') eq 'name 1' }), 1,
    'permitted again');
is(count_log($agents[1], qr/"other\.example" is published/), 2,
    'one line for each change');


sub agent_conf {
    my ($i, @services) = @_;
    my $services = join "\n", map { "trp_reverse_publish $_;" } @services;

    $agents[$i]->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8433;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_name agent-$i;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        $services

        proxy_half_close on;
        proxy_pass \$trp_destination;
    }
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:809$i;
        return 200 "port $i";
    }

    server {
        listen 127.0.0.1:845$i ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        return 200 "name $i";
    }
}

EOC
}


# what the service says, or undef after a reset

sub get {
    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => '127.0.0.1:' . port(8080),
    ) or die "can't connect: $!\n";

    return answer($s);
}


sub tls {
    my ($name) = @_;

    my $s = IO::Socket::SSL->new(
        PeerAddr => '127.0.0.1:' . port(8443),
        SSL_hostname => $name,
        SSL_verify_mode => SSL_VERIFY_NONE,
    ) or return undef;

    return answer($s);
}


sub answer {
    my ($s) = @_;
    my $reply = http("GET / HTTP/1.0\r\n\r\n", socket => $s);
    return defined $reply && $reply =~ /\r\n\r\n(.+)$/s ? $1 : undef;
}


sub uniq {
    my %seen = map { $_ => 1 } grep { defined } @_;
    return sort keys %seen;
}
