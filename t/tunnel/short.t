#!/usr/bin/perl

# Tests for streams that are short: a tunnel is free for the next one when
# their end is sent, whoever is slow to read them, and what comes late from
# the last one is not taken for the next.  Who has sent more waits for DONE.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Conf;

my $relay = Test::Nginx->new()
    ->has(qw/ stream stream_ssl socket_ssl_alpn /);
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$reverse->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    upstream relay {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_group slow;
        trp_reverse_pool idle=1 max=1;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8081%%;
        proxy_upload_rate 8k;
        proxy_half_close on;
        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($relay, $reverse);
$relay->write_file('authorized_keys', join "\n", trp_keys($relay, 'any'),
    trp_keys($reverse, 'reverse'));

my $service = listener(port(8081));

$relay->run();
$reverse->run()->plan(19);

my $open = frame('OPEN', open_payload(port => port(8081)));
my $entry = agent('entry', 'raw');
my $other = agent('reverse', 'raw');

# both end at the same time, and the next stream begins before each one knows

$entry->write($open);
ok($other->expect('OPEN'), 'open');
$other->send('ACCEPT');
ok($entry->expect('ACCEPT'), 'accepted');

$entry->send('END');
$other->send('END');
ok($entry->expect('END') && $other->expect('END'), 'both have ended');

$entry->write(frame('DONE') . $open . frame('DATA', 'next') . frame('END'));
ok($other->expect('DONE') && $other->expect('OPEN'), 'the next stream');
$other->write(frame('DONE') . frame('RESET') . frame('ACCEPT')
    . frame('DATA', 'answer') . frame('END'));
ok($entry->expect('ACCEPT'), 'late frames are not passed on');
is($entry->data(), 'answer', 'answer');
ok($entry->expect('END'), 'its end');
is($other->data(), 'next', 'question');
ok($other->expect('END'), 'its end');
$entry->send('DONE');
ok($other->expect('DONE'), 'done');

# services that are slow to get it: what is short leaves their tunnel anyway

$entry = agent('entry', 'slow');

my @slow = map { short('x' x 16380) } 1 .. 3;

is(count_log($relay, qr/reverse .* has a tunnel in group "slow"/), 1,
    'three streams, one tunnel');
is(join(' ', map { (drain($_))[0] } @slow), '16380 16380 16380',
    'nothing is lost');
@slow = ();

# what is not, stays: nothing is done before it was read

my $c = short('x' x 16380, 'x' x 4);
is($entry->read(timeout => 0.3), undef, 'not done yet');
is((drain($c))[0], 16384, 'read');
ok($entry->expect('DONE'), 'and done');
close $c;

$c = short('the tunnel is free');
is((drain($c))[0], 18, 'and used again');
close $c;

is(count_log($relay, qr/sent unexpected frame|was aborted/), 0, 'no errors');

$_->close() for $entry, $other;


# A stream that its service ends first, and then the entry, with these bytes.
# Returns the service's connection.

sub short {
    my (@data) = @_;

    $entry->write($open . frame('DATA', shift @data));
    my $s = accepted($service);
    shutdown $s, 1;
    $entry->expect('ACCEPT') && $entry->expect('END') or die "no end\n";
    $entry->write(join('', map { frame('DATA', $_) } @data) . frame('END')
        . frame('DONE'));

    return $s;
}


sub agent {
    my ($role, $group) = @_;

    return Test::Nginx::TRP::Client->agent(port => port(8443),
        timeout => 10, key => $relay->testdir() . '/any', role => $role,
        group => $group);
}
