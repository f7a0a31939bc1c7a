#!/usr/bin/perl

# The configuration in examples/turn/ runs as it stands, but for the ports, and
# with the log and the pid where the test library has them.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return /)
    ->has_daemon('turnutils_uclient');

# load_module wants files: a static nginx has none

my @modules = ($ENV{TEST_NGINX_GLOBALS} || '') =~ /load_module\s+(\S+);/g;

plan(skip_all => 'modules are not dynamic') unless @modules;

my $dir = $t->testdir();
my $examples = "$FindBin::Bin/../../examples";
my $text = contents("$examples/turn/nginx.conf");

# the secret is made by the command that the example shows

my ($command) = $text =~ /^# +(\(umask .*\))$/m;

system("cd $dir && sh $examples/bin/trp-gen-cert x509 --dns localhost"
    . " --ip 127.0.0.1 -o cert > /dev/null && $command") == 0
    or die "no certificate or secret\n";

# and so are credentials

my $recipe = join '; ', $text =~ /^# {5}((?:name=|secret=|printf).*)/mg;
my ($password, $name) = split /\n/, `cd $dir && $recipe; echo \$name`;

mkdir "$dir/$_" or die "mkdir: $!\n" for qw/ logs modules /;
symlink $_, "$dir/modules/" . (split '/')[-1] for @modules;

# UDP and TCP have the same port in the example only

my %ports = ('3478 udp' => port(8980, udp => 1), 3478 => port(8981),
    5349 => port(8982), 8081 => port(8983));

$text =~ s!^\ +listen\ (?:\S+:)?\K(3478\ udp|\d+)(?=[\ ;])!
    $ports{$1} . ($1 =~ / udp/ ? ' udp' : '')!gemx;
$text =~ s/^(?:pid|error_log) .*\n//gm;
$text =~ s!/var/log/nginx/!logs/!g;
$text = "daemon off;\nworker_shutdown_timeout 1s;\n$text";
$text = "user root;\n$text" if $> == 0;
$t->write_file('nginx.conf', $text);

{
    # the example loads the modules

    local $ENV{TEST_NGINX_GLOBALS} = '';
    $t->run();
}

plan(tests => 8 + 2);

is(((stat "$dir/cert/turn.conf")[2] & 077), 0, 'nobody else reads the secret');

for my $case (
    [ 'UDP', '127.0.0.1', '3478 udp' ],
    [ 'TCP', '127.0.0.1', 3478, '-t' ],
    [ 'TLS', '127.0.0.1', 5349, '-t', '-S' ],
    [ 'UDP over IPv6', '::1', '3478 udp', '-x' ])
{
    my ($what, $address, $port, @options) = @$case;

    like(relay($address, '-p', $ports{$port}, '-u', $name, '-w', $password,
        @options), qr/tot_recv_msgs=[1-9]/, $what);
}

unlike(relay('127.0.0.1', '-p', $ports{'3478 udp'}, '-u', $name, '-w',
    'guess'), qr/tot_recv_msgs=[1-9]/, 'wrong password');

ok(wait_for(sub { contents("$dir/logs/access.log")
    =~ /^127\.0\.0\.1 .* UDP \d+:alice, 127\.0\.0\.1:\d+ with 127/m }),
    'access log');

my $s = connect_to(port(8983));
like(do { local $/; <$s> }, qr/^\d+ allocations, [1-9]\d* packets$/,
    'counters');


# clients that send to each other; what turnutils_uclient says

sub relay {
    my ($address, @options) = @_;

    open my $fh, '-|', 'timeout', 60, 'turnutils_uclient', '-y', '-c',
        qw/ -m 2 -n 3 -z 5 /, @options, $address
        or die "can't run turnutils_uclient: $!\n";

    local $/;
    my $said = <$fh>;

    note($said);
    return $said;
}


sub contents {
    my ($file) = @_;

    open my $fh, '<', $file or die "can't open $file: $!\n";
    local $/;
    return scalar <$fh>;
}
