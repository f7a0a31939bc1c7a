#!/usr/bin/perl

# Prometheus itself, with the configuration and the rules of
# examples/monitoring, reads a relay: in plain text, and with TLS and a password.
# It tells of an agent that has gone.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use JSON::PP;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Programs;

my $examples = "$FindBin::Bin/../../examples/monitoring";

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl http http_ssl
    socket_ssl_alpn /);

plan(skip_all => 'no prometheus') if !executable('prometheus');

my ($plain, $secret, $prometheus) = map { port($_) } 8081 .. 8083;
my $dir = $t->testdir();

example($t, 'monitoring', 4433 => port(8080), 9113 => $plain, 9443 => $secret);

# the part for relays on other machines is a comment

my $conf = text('prometheus.yml');
my $parts = $conf =~ s/^  # (- job_name: trp-remote\n)/  $1/m;
$conf =~ s/^  # (  .*)/  $1/mg;

for ([ '127\.0\.0\.1:9113' => "127.0.0.1:$plain" ],
    [ 'relay\.example\.org:9443' => "localhost:$secret" ],
    [ '/etc/prometheus/trp-ca\.crt' => "$dir/cert/server.crt" ],
    [ '/etc/prometheus/trp\.password' => "$dir/password" ],
    [ 'username: prometheus' => 'username: admin' ],
    [ '(?<=_interval): 15s' => ': 1s' ])
{
    my ($from, $to) = @$_;
    $parts += $conf =~ s/$from/$to/g ? 1 : 0;
}

$t->write_file('password', 'secret');
$t->write_file('prometheus.yml', $conf);
$t->write_file('rules.yml', text('rules.yml') =~ s/for: \d+[mh]/for: 1s/gr);

$t->plan(9);

is($parts, 7, 'the configuration');

$t->run_daemon(executable('prometheus'), "--config.file=$dir/prometheus.yml",
    "--storage.tsdb.path=$dir/tsdb", "--web.listen-address=127.0.0.1:$prometheus",
    '--log.level=error');

# both ways lead to the job

my @up;
wait_for(sub {
    @up = sort map { $_->{metric}{instance} . " $_->{value}[1]" }
        @{get('query?query=up%7Bjob%3D%22trp%22%7D')->{result} || []};
    return grep({ / 1$/ } @up) == 2;
}, 60);

is_deeply(\@up, [ "127.0.0.1:$plain 1", "localhost:$secret 1" ], 'both are up');
is(scalar(@{get('query?query=trp_info')->{result} || []}), 2, 'metrics');

my @rules;
wait_for(sub {
    @rules = map { @{$_->{rules}} } @{get('rules')->{groups} || []};
    return @rules && !grep { $_->{health} ne 'ok' } @rules;
}, 60);

cmp_ok(@rules, '>', 10, 'rules');
is(join(' ', map { $_->{name} } grep { $_->{health} ne 'ok' } @rules), '',
    'all of them work');
is(join(' ', map { $_->{name} } grep { $_->{state} eq 'firing' } @rules), '',
    'no alert');

# an agent comes and goes

my $agent;

wait_for(sub {
    $agent = Test::Nginx::TRP::Client->new(port => port(8080));

    # there are several workers, one of which is right

    my $answer = $agent->login(key => "$dir/cert/auth", role => 'reverse',
        name => 'vm', group => 'office');
    return $answer && $answer->{type} eq 'READY';
});

ok(wait_for(sub {
    $agent->answer_pings();
    my @is = @{get('query?query=trp_relay_agent_up')->{result} || []};
    return grep { $_->{metric}{name} eq 'vm' && $_->{value}[1] } @is;
}, 60), 'it is up');

$agent->close();

my @firing;
wait_for(sub {
    @firing = grep { $_->{state} eq 'firing' } @{get('alerts')->{alerts} || []};
    return scalar @firing;
}, 60);

is(join(' ', map { $_->{labels}{alertname} } @firing), 'TrpAgentDown',
    'it is down');
is($firing[0]{annotations}{summary}, 'reverse vm is down', 'which one');


# what its API answers

sub get {
    my ($what) = @_;
    my $answer = output('curl', '-s', "http://127.0.0.1:$prometheus/api/v1/$what");

    return (eval { decode_json($answer) } || {})->{data} || {};
}


sub text {
    my ($name) = @_;
    open my $fh, '<', "$examples/$name" or die "no $name: $!\n";
    local $/;
    return scalar <$fh>;
}
