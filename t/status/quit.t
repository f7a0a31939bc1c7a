#!/usr/bin/perl

# A worker that is about to exit finishes its answers, though it waits for
# nothing else.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Rows;

my $t = Test::Nginx->new()->has(qw/ http /);

plan(skip_all => 'modules are not dynamic') if !rows_module($t);

status_conf($t, main => <<'EOM');
load_module %%TESTDIR%%/rows.so;
rows %%TESTDIR%%/rows 16m;
EOM

rows($t, { kind => 'AGENT', keys => 4, times => 10_000,
    texts => [ 'reverse', 'agent#', 'office', 'K' x 43 ] });

$t->plan(3)->run();

for my $name (qw/ status.json metrics /) {
    my $all = agents(http_get("/trp/$name"));
    my $s = connect_to(port(8080));

    print {$s} "GET /trp/$name HTTP/1.0\r\n\r\n";
    my $answer = receive($s, 1000);
    reload_and_wait($t);
    $answer .= receive($s);

    is(agents($answer), $all, $name);
}

ok(wait_for(sub { worker_pids($t, qr/worker process/) == 1 }), 'old workers');


sub agents {
    my ($answer) = @_;
    return scalar(() = $answer =~ /"agent\d+"/g);
}
