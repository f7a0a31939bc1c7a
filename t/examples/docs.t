#!/usr/bin/perl

# The configurations in README and in docs/directives: nginx -t takes them.

use strict;
use warnings;

use Test::More;

use File::Copy qw/ copy /;
use IO::Socket::IP;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl stream_return /);
my $dir = $t->testdir();
my $root = '../..';

my @pages = ("$root/README.md", sort glob "$root/docs/directives/*.md");
my @blocks = map { blocks($_) } @pages;

# ::1 is not everywhere

my $ipv6 = IO::Socket::IP->new(LocalHost => '::1', Listen => 1);

make_files();

$t->plan(1 + @blocks);

cmp_ok(@blocks, '>=', 14, 'blocks');

for my $block (@blocks) {
    my ($name, $text) = @$block;

    # a whole file, or what is in its stream {}, or in its http {}

    my $level = $text =~ /^# in http \{\}/ ? 'http' : 'stream';
    my $globals = '%%TEST_GLOBALS_' . uc($level) . '%%';

    $text = $1 if $text =~ /^stream \{\n(.*?)^\}$/ms;
    $text =~ s!/var/log/nginx/!$dir/!g;
    $text =~ s/^ *listen \[::\].*\n//mg if !$ipv6;

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

$level {
    $globals

$text
}
EOC

    my $said = $t->dump_config();
    like($said, qr/test is successful/, $name) or diag($said);
}


# each block of a page, with its name

sub blocks {
    my ($page) = @_;
    my $n = 0;

    open my $fh, '<', $page or die "can't open $page: $!\n";
    local $/;
    my $text = <$fh>;

    return map { [ sprintf('%s, block %d', $page =~ s!^\Q$root\E/!!r, ++$n),
        $_ ] } $text =~ /^```nginx\n(.*?)^```$/msg;
}


# what the pages put into cert/

sub make_files {
    mkdir "$dir/cert" or die "can't make $dir/cert: $!\n";

    trp_cert($t);

    for my $name (qw/ server turn web /) {
        copy("$dir/localhost.$_", "$dir/cert/$name.$_") or die "copy: $!\n"
            for qw/ crt key /;
    }

    $t->write_file('cert/authorized_keys', join "\n", trp_keys($t,
        map { "cert/$_" } qw/ auth entry reverse /), '');
    $t->write_file('cert/socks.users', 'alice:{PLAIN}secret' . "\n");
}
