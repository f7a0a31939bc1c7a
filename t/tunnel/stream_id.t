#!/usr/bin/perl

# A connection has one id in the logs of all three roles, and in the lines
# that say why it was refused.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/stream stream_ssl/);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format id "$trp_stream_id $trp_destination_port";

    server {
        listen 127.0.0.1:8443 ssl;

        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        access_log %%TESTDIR%%/ids.log id;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key any;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        trp_route %%PORT_8081%%:%%PORT_8091%% bind=127.0.0.1;

        access_log %%TESTDIR%%/ids.log id;
        proxy_pass relay;
    }

    server {
        trp_reverse relay;
        trp_reverse_key any;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%%;

        access_log %%TESTDIR%%/ids.log id;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', trp_keys($t, 'any'));
serve($t, port(8090), 'hello');
$t->run()->plan(7);

user(8080) for 1 .. 2;
user(8081);

ok(wait_for(sub { @{ ids($t) } == 9 }), 'lines');

my %count;
$count{$_}++ for @{ ids($t) };

is(keys %count, 3, 'an id for each connection');
is(join(' ', values %count), '3 3 3', 'the same on all roles');
is((grep { !/^[0-9a-f]{16} / } keys %count), 0, 'form');

# the third one was refused: each role says so once, with its id

my ($id) = map { /^(\w+)/ } grep { / @{[port(8091)]}$/ } keys %count;

is(count_log($t, qr/"trp_reverse_allow", .*stream: $id/), 1, 'reverse');
is(count_log($t, qr/reverse .* refused .*: not allowed, .*stream: $id/), 1,
    'relay');
is(count_log($t, qr/stream was refused: not allowed, .*stream: $id/), 1,
    'entry');


sub user {
    my ($port) = @_;

    my $s = connect_to(port($port));
    sysread $s, my $got, 1024;
    close $s;
}

sub ids {
    my ($t) = @_;

    my $file = $t->testdir() . '/ids.log';
    return [] if !-e $file;

    open my $fh, '<', $file or die "open $file: $!\n";
    chomp(my @lines = <$fh>);

    return \@lines;
}
