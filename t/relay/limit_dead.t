#!/usr/bin/perl

# Agents that have lost power count for the limits of their key, or group,
# only until somebody needs their place; those who live keep theirs.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Fault;

fault_network();

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
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
        trp_relay_auth_timeout 1m;
        trp_relay_limit_group tunnels=12;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my ($key, @others) = trp_keys($relay, qw/ limited other another /);

trp_cert($relay);
$relay->write_file('authorized_keys',
    join "\n", "limit=\"tunnels=6,streams=2\" $key", @others);
$relay->run()->plan(10);

my $dir = $relay->testdir();

# idle ones of a key

my @dead = map { agent('limited', 'reverse', 'idle') } 1 .. 6;
is(ready(@dead), 6, 'at the limit of the key');
lose_power(@dead);

my @back = map { comes_back('limited', 'reverse', 'idle') } 1 .. 6;
is(ready(@back), 6, 'back in place of the dead');

# they live

my $more = agent('limited', 'reverse', 'idle', @back);
is($more->{answer}->{code}, 'limit', 'one too many');
is(scalar(grep { alive($_) } @back), 6, 'the others live on');

# idle ones of a group, of any key

@dead = map { agent($_ % 2 ? 'other' : 'another', 'entry', 'all') } 1 .. 12;
is(ready(@dead), 12, 'at the limit of the group');
lose_power(@dead);

@back = map { comes_back('other', 'entry', 'all') } 1 .. 12;
is(ready(@back), 12, 'back in place of the dead of the group');

# with streams that wait, so that nobody is asked

@dead = map { agent('limited', 'entry', 'busy') } 1 .. 6;
is(ready(@dead), 6, 'at the limit again');

$_->send('OPEN', open_payload(port => 80)) for @dead[0, 1, 2];
is($dead[2]->read()->{code}, 'limit', 'as many streams as the key may have');

lose_power(@dead);

@back = map { comes_back('limited', 'entry', 'busy') } 1 .. 6;
is(ready(@back), 6, 'back in place of the dead with streams');

# their streams are gone, too

ok(wait_for(sub {
    my ($c) = @back;
    $c->send('OPEN', open_payload(port => 80));

    my $frame = $c->read(timeout => 0.3) or return 1;
    $c->write(frame('RESET') . frame('DONE'));
    $c->expect('DONE');
    return 0;
}), 'and their streams');


sub agent {
    my ($key, $role, $group, @beside) = @_;
    my $agent = Test::Nginx::TRP::Client->new(port => port(8443));

    $agent->{answer} = $agent->login(key => "$dir/$key", role => $role,
        group => $group, beside => \@beside) || { type => 'nothing' };

    return $agent;
}


# dials again and again, as agents do

my @alive;

sub comes_back {
    my ($key, $role, $group) = @_;
    my $agent;

    @alive = () if @alive && $alive[0]->{group} ne $group;

    wait_for(sub {
        $agent = agent($key, $role, $group, @alive);
        return $agent->{answer}->{type} eq 'READY';
    });

    $agent->{group} = $group;
    push @alive, $agent;

    return $agent;
}


sub ready {
    return scalar grep { $_->{answer}->{type} eq 'READY' } @_;
}


sub alive {
    my ($c) = @_;
    $c->send('PING');
    return $c->expect('PONG');
}


# nothing comes from them, or to them, any more

sub lose_power {
    my $ports = join ', ', map { $_->socket()->sockport() } @_;

    system("nft 'add chain inet fault power "
        . "{ type filter hook input priority 0; }'");
    system("nft 'add rule inet fault power tcp $_ { $ports } drop'")
        for qw/ sport dport /;
}
