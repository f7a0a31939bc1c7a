#!/usr/bin/perl

# Tests for when the relay's certificates expire, as trp_status shows it: the
# first one of several, and the new one after a reload.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Rows;

my $t = Test::Nginx->new()->has(qw/ http stream stream_ssl /);

status_conf($t, stream => <<'EOC');
    server {
        listen 127.0.0.1:8081 ssl;
        ssl_certificate rsa.crt;
        ssl_certificate_key rsa.key;
        ssl_certificate ec.crt;
        ssl_certificate_key ec.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC

$t->write_file('authorized_keys', '');

certificate('rsa', 'rsa:2048', 300);
certificate('ec', 'ec -pkeyopt ec_paramgen_curve:P-256', 30);

$t->plan(3);
$t->run();

my $ends = wait_for(\&expires);
cmp_ok(abs($ends - time() - 30 * 86400), '<', 1000, 'the first to expire');

certificate('ec', 'ec -pkeyopt ec_paramgen_curve:P-256', 600);
ok(reload_and_wait($t), 'reload');

ok(wait_for(sub { abs((expires() || 0) - time() - 300 * 86400) < 1000 }),
    'the other one is the first now');


sub expires {
    my $json = status_json(http_get('/trp/status.json'));
    return $json->{servers}[0]{certificate_expires};
}


sub certificate {
    my ($name, $type, $days) = @_;
    my $dir = $t->testdir();

    system("openssl req -x509 -newkey $type -nodes -subj /CN=localhost "
        . "-days $days -keyout $dir/new.key -out $dir/new.crt "
        . ">> $dir/openssl.out 2>&1") == 0
        or die "can't make a certificate\n";

    # nginx may keep what it has read from the same file in the same second

    for my $type (qw/ key crt /) {
        rename "$dir/new.$type", "$dir/$name.$type"
            or die "can't rename new.$type: $!\n";
    }
}
