#!/usr/bin/perl

# The configurations in examples/ run as /etc/nginx/nginx.conf and as they stand,
# on a machine of their own: a namespace with an empty /etc/nginx, /run and
# /var/log/nginx, where all ports are free.  README shows these files, and says
# where they go.

use strict;
use warnings;

use Test::More;

use File::Copy qw/ copy /;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx::TRP::Waiting qw/ wait_for /;

my $root = "$FindBin::Bin/../..";
my $modules = '/usr/lib/nginx/modules';
my $nginx = $ENV{TEST_NGINX_BINARY} || '/usr/sbin/nginx';
my @modules = ($ENV{TEST_NGINX_GLOBALS} || '') =~ /load_module\s+(\S+);/g;
my @examples = map { m!([^/]+)/nginx\.conf$! } glob "$root/examples/*/nginx.conf";

my $built = qx/$nginx -V 2>&1/;

plan(skip_all => 'modules are not dynamic') if !@modules;
plan(skip_all => 'not root') if $> != 0;
plan(skip_all => 'not the nginx of Debian')
    if $built !~ m!--conf-path=/etc/nginx/nginx\.conf!
    || $built !~ m!--modules-path=\Q$modules\E! || !-d $modules
    || grep { !-d } qw! /etc/nginx /var/log/nginx /usr/share/nginx/modules !;
plan(skip_all => 'no namespaces')
    if system('unshare --net --mount ip link set lo up 2> /dev/null');

# the first port of each

my %ports = (entry => 5001, hub => 5001, relay => 4433, reverse => 0, turn => 3478,
    monitoring => 4433, 'one-machine' => 5001, 'reverse-turn' => 5001, 'socks-tunnel' => 1080,
    'socks-turn' => 1080);

# all of this happens once more, in there

if (!$ENV{TRP_EXAMPLES}) {
    $ENV{TRP_EXAMPLES} = 1;
    exec qw/ unshare --net --mount --propagation private /, $^X,
        "$FindBin::Bin/$FindBin::Script"
        or die "can't run unshare: $!\n";
}

plan(tests => 4 * @examples + 3 + 7);

my $dir = tempdir(CLEANUP => 1);
mkdir "$dir/modules" or die "mkdir: $!\n";
copy($_, "$dir/modules") or die "copy: $!\n" for @modules;

system('ip', 'link', 'set', 'lo', 'up');
system('mount', '--bind', "$dir/modules", $modules) == 0 or die "mount\n";
system('mount', '-t', 'tmpfs', 'tmpfs', $_) == 0 or die "mount\n"
    for qw! /etc/nginx /run /var/log/nginx !;

# openssl and others still find what is theirs

for my $name (@examples) {
    prepare('/etc/nginx', $name);
    runs($name, 'as /etc/nginx/nginx.conf', $nginx);

    my $place = "$dir/examples/$name";

    system('mkdir', '-p', $place);
    prepare($place, $name);
    runs($name, 'as it stands', "$nginx -c $place/nginx.conf");
}

# README's blocks

my $readme = slurp("$root/README.md");
my @blocks = $readme =~ /^```nginx\n(.*?)^```$/msg;

cmp_ok(@blocks, '>=', 6, 'README has blocks');
is(join("\n", grep { !m!^# [^\n]*/etc/nginx/nginx\.conf! } @blocks), '',
    'all of them say their file');

for my $role (qw/ relay entry reverse /) {
    my ($block) = grep { m!^# /etc/nginx/nginx.conf of the $role\n! } @blocks;
    my $text = slurp("$root/examples/$role/nginx.conf");

    isnt($block, undef, "README has the $role");
    is($block =~ s/^#.*\n\n//r, $text =~ s/^.*?(?=^load_module)//msr,
        "it is the file of the $role");
}

# what is idle for long is no surprise

is(join(' ', grep { slurp("$root/examples/$_/nginx.conf") =~ /proxy_pass/
    && slurp("$root/examples/$_/nginx.conf") !~ /proxy_timeout .*# idle ssh/ }
    @examples), '', 'all proxies say how long one may be idle');
is(join(' ', grep { !exists $ports{$_} } @examples), '', 'all are known');


# the certificate, keys and secrets that its comment speaks of

sub prepare {
    my ($place, $name) = @_;
    my $text = slurp("$root/examples/$name/nginx.conf");
    my $gen = "sh $root/examples/bin/trp-gen-cert";
    my ($recipe) = $text =~ /^# {5}(\(umask .*?)\n#\n/ms;

    ($recipe = defined $recipe ? $recipe : 'true') =~ s/^#//mg;

    system('sh', '-ec', "cd $place; rm -rf cert; $gen x509 --dns localhost"
        . " --ip 127.0.0.1 -o cert > /dev/null; $gen ed25519 -o cert"
        . " > line; mv line cert/authorized_keys; $recipe") == 0
        or die "no certificate for $name\n";

    copy("$root/examples/$name/nginx.conf", "$place/nginx.conf")
        or die "copy: $!\n";
}


sub runs {
    my ($name, $how, $command) = @_;

    unlink '/var/log/nginx/error.log';

    my $said = qx/$command 2>&1/;
    is($said, '', "$name, $how");

    my $port = $ports{$name};
    my $up = wait_for(sub { -s '/run/nginx.pid' && (!$port
        || IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")) });

    my ($pid) = slurp('/run/nginx.pid') =~ /(\d+)/;
    my $log = slurp('/var/log/nginx/error.log');

    ok($up && $log !~ /\[(?:alert|emerg|crit)\]/, "$name, it serves")
        or diag($log);

    return if !$pid;

    kill 'TERM', $pid;
    wait_for(sub { !-e '/run/nginx.pid' }) or kill 'KILL', $pid;
}


sub slurp {
    my ($file) = @_;
    open my $fh, '<', $file or return '';
    local $/;
    return scalar <$fh>;
}
