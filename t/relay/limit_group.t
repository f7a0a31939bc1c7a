#!/usr/bin/perl

# Tests for trp_relay_limit_group: tunnels, streams and opens of a group, with
# no other group harmed; and for what "nginx -t" says to limits.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Scalar::Util qw/ weaken /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

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
        trp_relay_limit_group tunnels=6 streams=2;
        trp_authorized_keys authorized_keys;
    }

    server {
        listen 127.0.0.1:8444 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_limit_group opens=2r/s;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my @agents;
my @names = qw/ one two three /;
my @keys = trp_keys($relay, @names);

trp_cert($relay);
$relay->write_file('authorized_keys',
    join "\n", $keys[0], $keys[1], "limit=\"tunnels=100\" $keys[2]");
$relay->run();

my $dir = $relay->testdir();

my @bad = map { my $name = $_;
    map { [ @$_[0, 1], $name ] } (
        [ 'tunnels=0', qr/invalid parameter "tunnels=0" in "$name"/ ],
        [ 'streams=-1', qr/invalid parameter "streams=-1" in "$name"/ ],
        [ 'streams=x', qr/invalid parameter "streams=x" in "$name"/ ],
        [ 'opens=5', qr/invalid parameter "opens=5" in "$name"/ ],
        [ 'opens=r/s', qr/invalid parameter "opens=r\/s" in "$name"/ ],
        [ 'opens=1r/m', qr/invalid parameter "opens=1r\/m" in "$name"/ ],
        [ 'users=5', qr/invalid parameter "users=5" in "$name"/ ],
        [ 'tunnels=1000000000', qr/invalid parameter "tunnels=10+" in / ],
        [ 'tunnels=1 tunnels=2', qr/invalid parameter "tunnels=2" in / ],
        [ '', qr/invalid number of arguments in "$name"/ ],
        [ "tunnels=1; $name streams=2", qr/"$name" directive is duplicate/ ],
    )
} qw/ trp_relay_limit_key trp_relay_limit_group /;

push @bad, map { my $name = $_;
    map { [ $_,
            qr/value must be between 1 and|invalid (?:n|v)/, $name ] }
        qw/ 0 -1 x 1000001 /, '1 2', ''
} qw/ trp_relay_max_unauthenticated trp_relay_max_per_address /;

my %bad_keys = (
    'tunnels=0' => qr/has an invalid limit/,
    'opens=1' => qr/has an invalid limit/,
    'tunnels=1,tunnels=1' => qr/has a duplicate limit/,
    'users=1' => qr/has an invalid limit/,
);

$relay->plan(15 + 2 * @bad + keys %bad_keys);

# tunnels, of any key and in any role

my @c = map { agent($names[$_ % 2], 'entry', 'a') } 1 .. 6;
is(ready(@c), 6, 'tunnels');

for my $role (qw/ entry reverse /) {
    my $c = agent('three', $role, 'a');
    is($c->{answer}->{code}, 'limit', "one too many, $role");
}

like(log_line('is not authorized'), qr/entry\ "raw"\ for\ group\ "a"\ is\ .*:
    \ the\ group\ has\ too\ many\ tunnels,.*\(three\)/x, 'log');

my @other = map { agent('one', 'entry', 'b') } 1 .. 2;
is(ready(@other), 2, 'another group');

# all are gone, by force too

$_->abort() for @c;
@c = ();

ok(wait_for(sub {
    push @c, grep { $_->{answer}->{type} eq 'READY' }
        agent('two', 'entry', 'a');
    return @c == 6;
}), 'tunnels have gone');

# streams

$_->write(open_frame()) for @c[0, 1];
$_->write(open_frame()) for @other;
my $frame = ask($c[2]);
is($frame->{code}, 'limit', 'one stream too many');
is($frame->{retry}, 0, 'not to be tried again');
like(log_line('may not open'), qr/entry\ "raw"\ \(two\)\ at\ 127\.0\.0\.1.*
    \ may\ not\ open\ "127\.0\.0\.1:80":\ the\ group\ has\ too\ many\ streams,
    \ group:\ "a",\ stream:\ [0-9a-f]{16}/x, 'log');

$c[0]->abort();
ok(wait_for(sub { !ask($c[3]) }), 'a stream has gone');
is(ask($c[4])->{code}, 'limit', 'at the limit again');

# opens per second: a burst of two, then no more at once

my ($fast, $same) = map { agent($_, 'entry', 'c', 8444) } qw/ one two /;
my $else = agent('one', 'entry', 'd', 8444);
my %codes;

wait_for(sub {
    $codes{(ask($_, 1) || {})->{code}}++ for $fast, $same;
    return $codes{limit};
});

cmp_ok($codes{no_agent}, '>=', 2, 'opens');
cmp_ok($codes{limit}, '>', 0, 'not all at once');
like(log_line('too fast'), qr/: streams are opened too fast in the group, /,
    'log');
is(ask($else, 1)->{code}, 'no_agent', 'another group');

$_->close() for @c, @other;

# what does not parse

my $conf = $relay->read_file('nginx.conf');

for my $bad (@bad) {
    my ($value, $re, $name) = @$bad;
    my $new = $conf =~ s/trp_relay;/trp_relay; $name $value;/r
        =~ s/trp_relay_limit_group tunnels=6 streams=2;//r;

    $relay->write_file('nginx.conf', $new);
    my $line = 1 + ($new =~ /\A(.*?)trp_relay;/s ? $1 =~ tr/\n// : 0);

    my $output = nginx_test($relay);
    like($output, $re, "$name $value");
    like($output, qr/nginx\.conf:$line$/m, 'line');
}

$relay->write_file('nginx.conf', $conf);

for my $value (sort keys %bad_keys) {
    $relay->write_file('authorized_keys',
        "$keys[0]\nlimit=\"$value\" $keys[1]");
    like(nginx_test($relay), qr/\/authorized_keys", line 2, $bad_keys{$value}/,
        "limit=\"$value\"");
}


sub agent {
    my ($key, $role, $group, $port) = @_;
    my $agent = Test::Nginx::TRP::Client->new(port => port($port || 8443));

    $agent->{answer} = $agent->login(key => "$dir/$key", role => $role,
        group => $group, beside => [ grep { defined } @agents ])
        || { type => 'nothing' };

    push @agents, $agent;
    weaken($agents[-1]);

    return $agent;
}


sub ready {
    return scalar grep { $_->{answer}->{type} eq 'READY' } @_;
}


sub open_frame {
    return frame('OPEN', open_payload(port => 80,
        elsewhere => $_[0] ? 1 : 0));
}


# What a stream is refused with; undef if it is not, and then it is open.  The
# second argument: at once if there is no reverse.

sub ask {
    my ($c, $elsewhere) = @_;

    $c->write(open_frame($elsewhere));
    my $frame = $c->read(timeout => $elsewhere ? 30 : 0.3) or return;
    return $frame if $frame->{type} ne 'REFUSE';

    $c->write(frame('RESET') . frame('DONE'));
    $c->expect('DONE');

    return $frame;
}


sub log_line {
    my ($text) = @_;
    my $re = qr/\Q$text\E/;

    wait_log($relay, $re);
    return (grep { $_ =~ $re } split /\n/, $relay->read_file('error.log'))[0];
}
