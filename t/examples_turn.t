#!/usr/bin/perl

# The configuration in examples/turn/ runs as it stands, but for the ports.

use strict;
use warnings;

use IO::Socket::IP;
use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, 'lib'; }

use Socket qw/ AF_INET6 SOCK_DGRAM /;

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return /)
    ->has_daemon('turnutils_uclient');

# load_module wants files: a static nginx has none

my @modules = ($ENV{TEST_NGINX_GLOBALS} || '') =~ /load_module\s+(\S+);/g;

plan(skip_all => 'modules are not dynamic') unless @modules;
plan(skip_all => 'no IPv6 here')
    unless IO::Socket::IP->new(LocalHost => '::1', Type => SOCK_DGRAM);

my $dir = $t->testdir();
my $examples = "$FindBin::Bin/../examples";
my $text = contents("$examples/turn/nginx.conf");

# the secret is made by the command that the example shows

my ($command) = $text =~ /^# +(\(umask .*\))$/m;

system("cd $dir && sh $examples/bin/trp-gen-cert x509 --dns localhost"
    . " --ip 127.0.0.1 -o cert > /dev/null && $command") == 0
    or die "no certificate or secret\n";

my ($secret) = contents("$dir/cert/turn.conf") =~ / (\w{64});$/;

mkdir "$dir/$_" or die "mkdir: $!\n" for qw/ logs modules /;
symlink $_, "$dir/modules/" . (split '/')[-1] for @modules;

my %ports = (3478 => port(8980, udp => 1), 5349 => port(8981),
    8081 => port(8982));

$text =~ s/\b(listen +\S*?)(3478|5349|8081)\b/$1$ports{$2}/g;
$text = "user root;\n$text" if $> == 0;
$text = "daemon off;\n" . $text =~ s!logs/(nginx\.pid|error\.log)!$1!gr;
$t->write_file('nginx.conf', $text);

{
    # the example loads the modules

    local $ENV{TEST_NGINX_GLOBALS} = '';
    $t->run();
}

plan(tests => 8 + 2);

is(((stat "$dir/cert/turn.conf")[2] & 077), 0, 'nobody else reads the secret');

for my $case (
    [ 'UDP', '127.0.0.1', 3478 ],
    [ 'TCP', '127.0.0.1', 3478, '-t' ],
    [ 'TLS', '127.0.0.1', 5349, '-t', '-S' ],
    [ 'UDP over IPv6', '::1', 3478, '-x' ])
{
    my ($what, $address, $port, @options) = @$case;

    like(relay($address, '-p', $ports{$port}, '-W', $secret, @options),
        qr/tot_recv_msgs=[1-9]/, $what);
}

unlike(relay('127.0.0.1', '-p', $ports{3478}, '-W', 'guess'),
    qr/tot_recv_msgs=[1-9]/, 'wrong secret');

ok(wait_for(sub { contents("$dir/logs/access.log")
    =~ /^127\.0\.0\.1 .* UDP \d+:alice, 127\.0\.0\.1:\d+ with 127/m }),
    'access log');

# the peers of one allocation are those of the others

my $s = connect_to(port(8982));
like(do { local $/; <$s> }, qr/^allocations \d+, ever \d+; .* denied 0$/,
    'counters');


# clients that send to each other; what turnutils_uclient says

sub relay {
    my ($address, @options) = @_;

    open my $fh, '-|', 'timeout', 60, 'turnutils_uclient', '-y', '-c',
        qw/ -u alice -m 2 -n 3 -z 5 /, @options, $address
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
