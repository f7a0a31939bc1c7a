#!/usr/bin/perl

# The configurations in examples/ run as they stand, but for the ports, logs and
# the pid.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/stream stream_ssl/);

# load_module wants files: a static nginx has none

my @modules = ($ENV{TEST_NGINX_GLOBALS} || '') =~ /load_module\s+(\S+);/g;

plan(skip_all => 'modules are not dynamic') unless @modules;

$t->plan(10)->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

EOC

my $dir = $t->testdir();
my $bin = "$FindBin::Bin/../../examples/bin/trp-gen-cert";

system("sh $bin x509 --dns localhost --ip 127.0.0.1 -o $dir/cert > /dev/null") == 0
    or die "no certificate\n";
$t->write_file('line', scalar `sh $bin ed25519 -o $dir/cert`);
rename "$dir/line", "$dir/cert/authorized_keys" or die "rename: $!\n";

# 4433: relay, 5001 and 2222: entry, 8080 and 10022: services

my %ports = (
    4433 => port(8080), 5001 => port(8081), 2222 => port(8082),
    8080 => port(8083), 10022 => port(8084)
);

serve($t, port(8083), 'echo');
serve($t, port(8084), 'echo');

$t->run();

my @pids = start($dir, qw/relay reverse entry/);

is(echo(port(8081), 'over three'), 'over three', 'relay, entry, reverse');
is(echo(port(8082), 'by name'), 'by name', 'second route');

for my $role (qw/entry relay reverse/) {
    ok(wait_for(sub { lines("$dir/$role/logs/access.log") == 2 }),
        "access log of $role");
}

stop(@pids);

# the reverse has a place of its own

rename "$dir/reverse", "$dir/first" or die "rename: $!\n";
@pids = start($dir, qw/hub reverse/);

is(echo(port(8081), 'over two'), 'over two', 'hub, reverse');

for my $role (qw/hub reverse/) {
    ok(wait_for(sub { lines("$dir/$role/logs/access.log") == 1 }),
        "access log of $role, with a hub");
}

stop(@pids);

@pids = start($dir, 'one-machine');

is(echo(port(8081), 'in one'), 'in one', 'one machine');
ok(wait_for(sub { lines("$dir/one-machine/logs/access.log") == 2 }),
    'access log of one machine, a line for hub and reverse');

stop(@pids);

###############################################################################

# prefixes as "nginx -p" wants them; returns the masters' pids

sub start {
    my ($dir, @roles) = @_;
    my @pids;

    for my $role (@roles) {
        my $prefix = "$dir/$role";

        mkdir "$prefix" or die "mkdir: $!\n";
        mkdir "$prefix/$_" or die "mkdir: $!\n" for qw/logs modules/;
        symlink "$dir/cert", "$prefix/cert" or die "symlink: $!\n";
        symlink $_, "$prefix/modules/" . (split '/')[-1] for @modules;

        my $conf = contents("$FindBin::Bin/../../examples/$role/nginx.conf");

        $conf =~ s/\b(4433|5001|2222|8080|10022)\b/$ports{$1}/g;
        $conf =~ s!/run/nginx\.pid!logs/nginx.pid!;
        $conf =~ s!/var/log/nginx/!logs/!g;
        $conf = "user root;\n$conf" if $> == 0;

        open my $fh, '>', "$prefix/nginx.conf" or die "open: $!\n";
        print {$fh} $conf;
        close $fh or die "close: $!\n";

        my $nginx = $ENV{TEST_NGINX_BINARY} || 'nginx';

        system("$nginx -p $prefix -c nginx.conf 2> $prefix/start.log") == 0
            or die "$role: ", contents("$prefix/start.log");

        push @pids, contents("$prefix/logs/nginx.pid") =~ /(\d+)/;
    }

    return @pids;
}

sub stop {
    my (@pids) = @_;

    kill 'QUIT', @pids;
    wait_for(sub { !kill 0, @pids }) or kill 'KILL', @pids;
}

# sends, ends, and returns what came back until the end

sub echo {
    my ($port, $text) = @_;
    my $got = '';

    my $s = connect_to($port);

    print {$s} $text;
    shutdown $s, 1;

    1 while sysread $s, $got, 1024, length $got;

    # the echo server adds a digest behind an end
    return substr $got, 0, length $text;
}

sub lines {
    my ($file) = @_;

    return -e $file ? scalar(() = contents($file) =~ /\n/g) : 0;
}

sub contents {
    my ($file) = @_;

    open my $fh, '<', $file or die "open $file: $!\n";
    local $/;

    return scalar <$fh>;
}

###############################################################################
