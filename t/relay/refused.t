#!/usr/bin/perl

# What an operator sees of agents that are refused, at level "notice" and in
# several workers: one warning each, with name, key, address and group; not the
# same one over and over; and strangers cannot fill the log.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);

$relay->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log notice;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_relay_limit_key tunnels=1;
        trp_authorized_keys authorized_keys;
    }
}

EOC

my @names = qw/ any entry group old far stranger /;
my %keys;
@keys{@names} = trp_keys($relay, @names);

trp_cert($relay);
$relay->write_file('authorized_keys', join "\n", $keys{any},
    "role=\"entry\" $keys{entry}", "group=\"home,work*\" $keys{group}",
    "expiry-time=\"202001312359\" $keys{old}",
    "from=\"192.0.2.0/24,::1\" $keys{far}", '');

my $dir = $relay->testdir();

# name, what the agent claims, why not, and whose key it is

my @cases = (
    [ 'stranger', { key => 'stranger' },
        'key is not in the authorized keys', '' ],
    [ 'signature', { key => 'any', signature => 's' x 64 },
        'signature is wrong', 'any' ],
    [ 'version', { key => 'any', version => 1 }, 'version is too old', 'any' ],
    [ 'role', { key => 'entry', role => 'reverse' },
        'key is not for this role (role="entry")', 'entry' ],
    [ 'group', { key => 'group', group => 'office' },
        'key is not for this group (group="home,work*")', 'group' ],
    [ 'expired', { key => 'old' },
        'key has expired (expiry-time="202001312359Z")', 'old' ],
    [ 'address', { key => 'far', role => 'reverse' },
        'key may not be used from this address (from="192.0.2.0/24,::1")',
        'far' ],
);

$relay->run()->plan(2 * @cases + 14);

for my $case (@cases) {
    my ($name, $claim, $why, $owner) = @$case;
    my $comment = $owner ? " ($owner)" : '';
    my ($role, $group) = ($claim->{role} || 'entry', $claim->{group} || '0');
    my $fingerprint = fingerprint($claim->{key});

    my @answers = map { try($name, %$claim)->{text} } 1 .. 4;
    is("@answers", join(' ', ('not authorized') x 4), "$name: refused");

    my @lines = lines(qr/$role "$name" for group/);
    is("@lines", "[warn] $role \"$name\" for group \"$group\" is not "
        . "authorized: $why, key: SHA256:$fingerprint$comment while "
        . 'authenticating tunnel, client: 127.0.0.1, server: 127.0.0.1:'
        . port(8443), "$name: logged once");
}

# something else about the same agent is news

try('role', key => 'entry', role => 'reverse', group => 'other');
is(lines(qr/reverse "role" for group "other".* \(entry\)/), 1, 'another group');

# over a limit the agent hears which one

my $c = client('0');
is($c->login(key => "$dir/any", name => 'one')->{type}, 'READY', 'one tunnel');

my $answer = client('0')->login(key => "$dir/any", name => 'two',
    beside => [ $c ]);

is($answer->{type}, 'ERROR', 'limit');
is($answer->{text},
    'over the limit: the key has too many tunnels in the group', 'its text');
is(lines(qr/entry "two" for group "0" is not authorized: the key has too/), 1,
    'limit, logged');

# what is not AUTH at all

is(try('', key => 'any')->{type}, 'ERROR', 'not AUTH');
is(lines(qr/\[warn\] agent is not authorized: invalid AUTH frame.*client: /), 1,
    'not AUTH, logged');

# a tunnel that is lost has a name, and not only the address of a NAT

reload_level($relay, 'info');
$c->close();

my $lost = client('lost');
$lost->login(key => "$dir/any", name => 'one', group => 'lost');
$lost->abort();

ok(wait_log($relay, qr/\[info\].* client: .*, entry: "one" \(any\), group: "lost"/),
    'a tunnel is lost');

reload_level($relay, 'notice');

# many strangers: there is an end to that, and a line that says so

my $before = lines(qr/ is not authorized: /);

for my $i (1 .. 60) {
    try("x$i", public_key => pack('N', $i) x 8, signature => 's' x 64);
}

my $told = lines(qr/ is not authorized: /) - $before;

cmp_ok($told, '>', 0, 'some of many strangers');
cmp_ok($told, '<', 60, 'not all of them');

# which hides nothing about those with a key

try('after', key => 'old');
is(lines(qr/"after" for group "0" is not authorized: key has expired/), 1,
    'a key of ours');

ok(wait_log($relay, qr/\[warn\].* \d+ lines about strangers that were refused/,
    timeout => 30), 'how many were left out');
is(left_out(), 60 - $told, 'all of them');
is(count_log($relay, qr/\[(?:error|crit|alert)\]/), 0, 'no errors');


# one for a group, in the worker that has it

sub client {
    my ($group) = @_;

    return Test::Nginx::TRP::Client->new(port => port(8443),
        alpn => [ 'trp/2', sprintf 'trp-slot/%02d', slot_of($group) ]);
}


# the answer to AUTH

sub try {
    my ($name, %claim) = @_;
    my $c = Test::Nginx::TRP::Client->new(port => port(8443));

    $claim{key} = "$dir/$claim{key}" if $claim{key};

    my $answer = $c->login(name => $name, %claim) || { type => 'nothing' };
    $c->wait_end();

    return $answer;
}


# what of the log matches, without times and numbers

sub lines {
    my ($re) = @_;

    return grep { $_ =~ $re }
        map { /(\[\w+\]) \d+#\d+: (?:\*\d+ )?(.*)/ ? "$1 $2" : () }
        split /\n/, $relay->read_file('error.log');
}


sub left_out {
    my $n = 0;
    $n += $_ for map { /(\d+) lines about strangers/ ? $1 : () } lines(qr/./);
    return $n;
}


sub fingerprint {
    my ($key) = @_;

    my $line = $keys{$key};
    $relay->write_file("$key.pub", "$line\n");

    return `ssh-keygen -l -f $dir/$key.pub` =~ /SHA256:(\S+)/ ? $1 : 'none';
}


sub reload_level {
    my ($t, $level) = @_;

    my $conf = $t->read_file('nginx.conf');
    $conf =~ s/(error_log \S+) (?:notice|info);/$1 $level;/;
    $t->write_file('nginx.conf', $conf);

    reload_and_wait($t);
}
