#!/usr/bin/perl

# Tests for relays as an agent sees them: their rows, with two workers, while
# the relay is there, gone, back, and refuses; and what the log tells then, at
# the level that an operator has by default: one line, whoever many workers and
# attempts there are.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Rows;

my $relay = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $agent = Test::Nginx->new();

relay_conf($relay, 8443);

status_conf($agent, main => <<'EOM', stream => <<'EOC');
error_log %%TESTDIR%%/notice.log notice;
worker_processes 2;
EOM
    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key hall;
        trp_entry_name hall;
        trp_entry_group office;
        trp_entry_pool idle=2;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream other {
        server 127.0.0.1:8443;
    }

    server {
        trp_route %%PORT_8081%%:10.0.0.5:80 bind=127.0.0.1;
        proxy_pass relay;
    }

    server {
        trp_reverse other;
        trp_reverse_key home;
        trp_reverse_name home;
        trp_reverse_group office;
        trp_reverse_pool idle=1;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
EOC

trp_cert($relay, $agent);
my $keys = join "\n", trp_keys($agent, 'hall', 'home'), '';
$relay->write_file('authorized_keys', $keys);

my $port = port(8443);

# before the relay is there

$agent->run()->plan(29);

my %row = wait_rows(sub { $_[0]{failures} && $_[0]{error} });

like($row{entry}{error}, qr/^connect\(\) failed \(111: /, 'the error');
is("$row{entry}{name} $row{entry}{group} $row{entry}{host}",
    "hall office 127.0.0.1:$port", 'what it is');
is($row{entry}{address}, "127.0.0.1:$port", 'address');
ok(now($row{entry}{failed_at}), 'just now');
like($row{entry}{state}, qr/^(?:waiting|dialing)$/, 'it is dialled again');

my $word = qr/connect\(\) failed .* relay: 127.0.0.1:$port, group: "office"/;
my $connected = qr/\[notice\] .* connected to relay 127.0.0.1:$port, after \d+ s/;

lines('there is no tunnel yet', qr/$word, .*, there is no tunnel yet$/m);

# it comes

$relay->run();
%row = wait_rows(sub { $_[0]{tunnels} });

is($row{entry}{state}, 'up', 'up');
is($row{reverse}{state}, 'up', 'up, the other agent');
ok(now($row{entry}{since}), 'since now');
ok(wait_rows(sub { $_[0]{tunnels} >= ($_[0]{role} eq 'entry' ? 4 : 2)
    && $_[0]{idle} == $_[0]{tunnels} && $_[0]{failures} == 0 }),
    'tunnels of both workers');
lines('connected, by each', $connected);

# workers are replaced: nothing that is worth a line

my $since = $row{entry}{since};

reload_and_wait($agent);
ok(wait_rows(sub { $_[0]{tunnels_total}
    >= ($_[0]{role} eq 'entry' ? 8 : 4) }), 'counters live on');
%row = wait_rows(sub { $_[0]{tunnels} == ($_[0]{role} eq 'entry' ? 4 : 2) });
is($row{entry}{since}, $since, 'up all the time');
is($row{entry}{lost_total}, 0, 'nothing was lost');

# it is cut off

$relay->stop();
%row = wait_rows(sub { !$_[0]{tunnels} && $_[0]{failures} });

like($row{reverse}{state}, qr/^(?:waiting|dialing)$/, 'gone');
like($row{reverse}{error}, qr/^connect\(\) failed \(111: /, 'and why');
cmp_ok($row{entry}{since}, '>=', $since, 'gone since');
wait_rows(sub { $_[0]{failures} > 3 });
lines('no tunnel is left', qr/$word, .*, no tunnel is left$/m, 2);
lines('no error but these', qr/\[(?:error|crit|alert|emerg)\]/, 4);

# it is back, but does not know them any more

$relay->write_file('authorized_keys', '');
$relay->run();
%row = wait_rows(sub { $_[0]{error} =~ /not authorized/ });
is($row{entry}{tunnels}, 0, 'refused');
lines('the relay has said', qr/relay reports "not authorized"/, 2);

# it knows them, and forgets them

$relay->write_file('authorized_keys', $keys);
$relay->reload();
ok(wait_rows(sub { $_[0]{state} eq 'up' }), 'authorized');
ok(wait_rows(sub { $_[0]{tunnels} >= ($_[0]{role} eq 'entry' ? 4 : 2) }),
    'by all workers');
lines('again', $connected, 4);

$relay->write_file('authorized_keys', '');
$relay->reload();
%row = wait_rows(sub { !$_[0]{tunnels} && $_[0]{failures} > 2 });
lines('revoked', qr/no tunnel is left$/m, 4);

# metrics

my %m = status_metrics(http_get('/trp/metrics'));
my $label = 'role="entry",name="hall",group="office",'
    . qq(host="127.0.0.1:$port",address="127.0.0.1:$port");

is($m{"trp_agent_relay_up{$label}"}, 0, 'metric');
is($m{"trp_agent_relay_tunnels{$label,state=\"idle\"}"}, 0, 'no tunnels');


# The rows of both agents, by role, as soon as the condition holds for each.

sub wait_rows {
    my ($code) = @_;
    my %row;

    my $ok = wait_for(sub {
        my @rows = @{status_json(http_get('/trp/status.json'))->{relays}};
        %row = map { $_->{role} => $_ } @rows;
        return @rows == 2 && !grep { !$code->($_) } @rows;
    });

    return $ok ? %row : ();
}


sub now {
    return $_[0] && abs($_[0] - time()) < 30;
}


# so many lines in the log, by default one of each agent

sub lines {
    my ($name, $re, $count) = @_;
    $count = 2 if !defined $count;

    wait_log($agent, $re, file => 'notice.log', count => $count);
    is(count_log($agent, $re, file => 'notice.log'), $count, $name);
}
