#!/usr/bin/perl

# Tests for users of a TURN server that have a new name for each call, more of
# them than a small table of the operator's view has room for: those who are
# gone make room, those who are here and the server stay.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use JSON::PP;

use Test::Nginx qw/ :DEFAULT http_content /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Rows qw/ status_conf /;
use Test::Nginx::TRP::TURN;

my $t = Test::Nginx->new()->has(qw/ http stream /);

status_conf($t, main => 'worker_shutdown_timeout 100ms;',
    stream => <<'EOC');
    error_log %%TESTDIR%%/error.log info;

    trp_relay_zone small 256k;

    server {
        listen 127.0.0.1:%%PORT_8478_UDP%% udp;
        trp_turn;
        trp_turn_realm example.org;
        trp_turn_secret north;
        trp_turn_external_address 127.0.0.1;
    }
EOC

$t->run()->plan(7);

my $rows = view()->{zone}{rows};
cmp_ok($rows, '<', 1000, 'a small table');

my $stays = client('stays');
is($stays->allocate()->{code}, 0, 'a user who stays');

my $allocated = 0;

for my $i (1 .. $rows + 50) {
    my $c = client("call$i");
    $allocated++ if $c->allocate()->{code} eq '0';
    $c->refresh(0);
    $c->close();
}

is($allocated, $rows + 50, 'a table that is full refuses nobody');

my $view = view();
my %users = map { $_->{name} => $_ } @{$view->{turn_users}};

is($users{stays}{allocations}, 1, 'who is here has a row');
is($users{"call$allocated"}{allocations_total}, 1, 'and who was here last');
ok(!$users{call1}, 'who was here first has none');
is($view->{turn}[0]{allocations_total}, $allocated + 1, 'all are counted');


sub client {
    my ($name) = @_;
    my $user = time() + 1000 . ":$name";

    return turn(port => port(8478, udp => 1), user => $user,
        password => stun_rest('north', $user));
}


sub view {
    return decode_json(http_content(http_get('/trp/status.json')) || '{}');
}
