package Test::Nginx::TRP::Rows;

# Rows in the table of an operator's view that no agent has made: any number of
# them, with any text.  The module of t/status/rows makes them; it is built for
# the test.
#
#     my $module = rows_module($t)            the directory has rows.so then
#         or plan(skip_all => '...');
#
#     rows($t, { kind => AGENT, keys => 4, texts => [ ... ],
#         counters => { 0 => 5 }, gauges => { 0 => 1 }, times => 100 }, ...);
#
#     status_conf($t, main => <<'EOC');       and "stream": nginx.conf, with
#     load_module %%TESTDIR%%/rows.so;        the status at 8080
#     rows %%TESTDIR%%/rows 1m;
#     EOC
#
# "storm" likewise.
#
# Texts are bytes.  Kinds and indices are those of ngx_trp_status_kinds.h.

use strict;
use warnings;

use Exporter qw/ import /;
use FindBin;
use JSON::PP;
use List::Util qw/ uniq /;

use Test::Nginx qw/ http_content /;

our @EXPORT = qw/ rows_module rows status_conf status_json status_metrics /;

my %kinds = (WORKER => 1, SERVER => 2, AGENT => 3, GROUP => 4, SERVICE => 5,
    RELAY => 6, ROUTE => 7, REVERSE => 8, TURN => 9, TURN_USER => 10,
    SOCKS => 11, SOCKS_USER => 12);


sub rows_module {
    my ($t, $name) = (@_, 'rows');

    # beside the module, or the nginx that has it

    my ($objs) = ($ENV{TEST_NGINX_GLOBALS} || '')
        =~ m!load_module (\S+)/ngx_http_trp_status_module\.so!;

    ($objs) = ($ENV{TRP_NGINX} || '') =~ m!(.*)/nginx$! if !defined $objs;

    return if !defined $objs || !-e "$objs/.configured";

    my ($makefile, $src) = map { _slurp("$objs/$_") } qw/ Makefile .configured /;
    my ($cflags) = $makefile =~ /^CFLAGS = *(.*)$/m;
    my ($cc) = $makefile =~ /^CC =\s*(.*)$/m;
    my ($incs) = $makefile =~ /^ALL_INCS = ((?:.*\\\n)*.*)$/m;
    my $root = "$FindBin::Bin/../..";

    $incs =~ s/\\\n//g;
    $incs = join ' ', map { "-I $_" } uniq($incs =~ /-I (\S+)/g);
    $src =~ s/\n.*//s;

    my $command = "cd $src && $cc -shared -fPIC $cflags $incs -o "
        . $t->testdir() . "/$name.so "
        . "$root/t/status/$name/ngx_trp_${name}_module.c"
        . " $root/src/ngx/status/*.c -ljansson 2>&1";

    my $said = qx{$command};
    die "can't build the module $name:\n$said" if $?;

    return 1;
}


sub rows {
    my ($t, @rows) = @_;
    my $json = JSON::PP->new()->utf8()->canonical();

    $t->write_file('rows', join "\n", map {
        my %row = %$_;
        $row{kind} = $kinds{$row{kind}} || die "no kind $row{kind}\n";
        $row{gone} = JSON::PP::true if $row{gone};
        $json->encode(\%row);
    } @rows);
}


# An nginx whose status is at 8080: "main" settings, and what is in "stream".

sub status_conf {
    my ($t, %conf) = @_;
    my $main = $conf{main} // '';
    my $stream = defined $conf{stream} ? <<"EOC" : '';
stream {
    %%TEST_GLOBALS_STREAM%%

$conf{stream}
}

EOC

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
$main

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    server {
        listen 127.0.0.1:8080;

        location /trp/ {
            trp_status;
        }
    }
}

$stream
EOC
}


# what the JSON says: a hash

sub status_json {
    my ($answer) = @_;
    return decode_json(http_content($answer) || '{}');
}


# the samples of the metrics: "name{labels}" and its value

sub status_metrics {
    my ($answer) = @_;
    return map { /^(\w.*) (\S+)$/ ? ($1, $2) : () }
        split /\n/, http_content($answer) || '';
}


sub _slurp {
    my ($file) = @_;
    open my $fh, '<', $file or die "can't open $file: $!\n";
    local $/;
    return scalar <$fh>;
}


1;
