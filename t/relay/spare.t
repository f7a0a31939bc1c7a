#!/usr/bin/perl

# Tests for what the relay tells a reverse in OPEN: how many idle tunnels it
# has left, or how many streams wait; and for pools that follow it.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_group pool;
        trp_reverse_pool idle=2;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($relay, 'entry'),
    trp_keys($reverse, 'reverse'));

serve($relay, port(8081), 'echo');

$relay->run();
$reverse->run()->plan(9 + 2);

my %key = (entry => $relay->testdir() . '/entry',
    reverse => $reverse->testdir() . '/reverse');

# with idle tunnels left

my @entries = map { agent('entry') } 1 .. 5;
my @reverses = map { agent('reverse') } 1 .. 3;

is(opened($entries[0]), 2, 'two are left');
is(opened($entries[1]), 1, 'one is left');
is(opened($entries[2]), 0, 'none is left');

# with streams that wait: the next tunnel gets the first of them

$_->write(frame('OPEN', open_payload(port => 80)) . frame('PING'))
    for @entries[3, 4];
$entries[4]->read(timeout => 0.2);

push @reverses, agent('reverse');
is($reverses[-1]->expect('OPEN')->{spare}, -1, 'one more waits');

push @reverses, agent('reverse');
is($reverses[-1]->expect('OPEN')->{spare}, 0, 'and no more');

# an entry that does not know of it

my $old = agent('entry', group => 'old');
my $its = agent('reverse', group => 'old');

$old->send('OPEN', open_payload(port => 80, spare => undef));
is($its->expect('OPEN')->{spare}, undef, 'nothing is added');

# a pool follows the demand

ok(wait_log($reverse, qr/tunnel is ready/, count => 2), 'a pool of two');

my @users = map { agent('entry', group => 'pool') } 1 .. 8;

for my $user (@users) {
    $user->write(frame('OPEN', open_payload(port => port(8081)))
        . frame('DATA', 'x'));
}

is(scalar(grep { $_->expect('ACCEPT') && $_->data(length => 1) } @users), 8,
    'eight at once are served');

ok(wait_log($reverse, qr/tunnel is ready/, count => 10),
    'and as many tunnels, with those to spare');

# nginx would wait for their streams

$_->close() for @entries, @reverses, @users, $old, $its;


sub agent {
    my ($role, %opts) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443),
        key => $key{$role}, role => $role, %opts);
}


# the stream goes to one of the tunnels; all of them stay open

sub opened {
    my ($entry) = @_;

    $entry->send('OPEN', open_payload(port => 80));

    for (1 .. 100) {
        for my $reverse (@reverses) {
            my $open = $reverse->expect('OPEN', timeout => 0.1) or next;
            return $open->{spare};
        }
    }
}
