#!/usr/bin/perl

# Tests for the replies of SOCKS5 when there is no connection, over the tunnel.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use Socket qw/ inet_aton /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;
use Test::Nginx::TRP::Fault;
use Test::Nginx::TRP::SOCKS;

# a network of its own: nothing of 10.0.0.0/8 is there

fault_network();

my @setup = ('ip route add unreachable 10.0.0.1/32', map {
    "nft add rule inet fault output ip daddr $_"
} '10.0.0.2 tcp flags syn drop',
    '127.0.0.3 reject with icmp type net-unreachable',
    '127.0.0.4 reject with icmp type host-unreachable',
    '127.0.0.5 reject with icmp type admin-prohibited');

for my $command ('ip route add local 10.0.0.2/32 dev lo',
    "nft 'add chain inet fault output { type filter hook output priority 0; }'",
    @setup)
{
    my $error = qx/($command) 2>&1/;
    plan(skip_all => "no rules: $error") if $?;
}

my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl udp /);
my $entry = Test::Nginx->new();
my $reverse = Test::Nginx->new();

relay_conf($relay, 8443);

$entry->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format trp "$trp_destination $trp_status $status";
    access_log %%TESTDIR%%/access.log trp;

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream nobody {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
        trp_entry_group nobody;
    }

    upstream limited {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key limited;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream gone {
        server 127.0.0.1:8099;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
        trp_entry_open_timeout 500ms;
    }

    server {
        listen 127.0.0.1:8080;
        trp_socks5;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:8081;
        trp_socks5;
        proxy_pass nobody;
    }

    server {
        listen 127.0.0.1:8082;
        trp_socks5;
        proxy_pass limited;
    }

    server {
        listen 127.0.0.1:8083;
        trp_socks5;
        proxy_pass gone;
    }

    server {
        listen 127.0.0.1:8084;
        trp_socks5;
        trp_socks5_deny 127.0.0.6;
        proxy_pass relay;
    }
}

EOC

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
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.0/8 10.0.0.0/8 11.0.0.0/8 [::1] [2001:db8::1];

        resolver 127.0.0.1:%%PORT_8991_UDP%%;
        resolver_timeout 1s;

        proxy_connect_timeout 1s;
        proxy_pass $trp_destination;
    }
}

EOC

$relay->write_file('nginx.conf', $relay->read_file('nginx.conf')
    =~ s/trp_relay;/trp_relay; trp_relay_open_timeout 500ms;/r);

trp_cert($relay, $entry, $reverse);

my $limited = trp_keys($entry, 'limited');
$relay->write_file('authorized_keys', join "\n", trp_keys($entry, 'entry'),
    trp_keys($reverse, 'reverse'), 'permitopen="127.0.0.1:80,*.example:80" '
    . $limited);

serve($reverse, port(8090), 'echo');

my $dns = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1',
    LocalPort => port(8991, udp => 1)) or die "can't listen: $!\n";
$reverse->run_daemon(\&dns, $dns);

$relay->run();
$reverse->run();
$entry->run()->plan(19 + 2 * 20 + 4);

my $good = '127.0.0.1:' . port(8090);

is(socks(port(8080), $good)->rep(), 0, 'success');

# destination, reply, status

is_reply(8080, '127.0.0.1:' . port(8099), '5 refused', 'refused');
is_reply(8080, '[::1]:' . port(8099), '5 refused', 'refused, IPv6');
is_reply(8080, '10.0.0.1:80', '4 host unreachable', 'unreachable host');
is_reply(8080, '11.0.0.1:80', '3 network unreachable', 'no route');
is_reply(8080, '[2001:db8::1]:80', '3 network unreachable', 'no route, IPv6');
is_reply(8080, '10.0.0.2:80', '6 timed out', 'no answer');
is_reply(8080, '127.0.0.3:80', '3 network unreachable', 'ICMP, network');
is_reply(8080, '127.0.0.4:80', '4 host unreachable', 'ICMP, host');
is_reply(8080, '127.0.0.5:80', '4 host unreachable', 'ICMP, prohibited');
is_reply(8080, 'nobody.example:80', '4 no such host', 'no such host');
is_reply(8080, 'empty.example:80', '4 no such host', 'no address');
is_reply(8080, 'silent.example:80', '4 no such host', 'no answer of DNS');
is_reply(8080, 'refuses.example:' . port(8099), '5 refused', 'name');
is_reply(8084, '127.0.0.6:' . port(8090), '2 not allowed', 'deny');
is_reply(8080, '12.0.0.1:80', '2 not allowed', 'not allowed by the reverse');
is_reply(8080, 'outside.example:80', '2 not allowed', 'its name');
is_reply(8082, $good, '2 not allowed', 'permitopen');
is_reply(8082, 'localhost:80', '2 not allowed', 'permitopen, name');
is_reply(8081, $good, '1 no agent', 'nobody is there');
is_reply(8083, $good, '6 timed out', 'no relay');

# what is not asked of anybody

is(reply(8080, $good, command => 2), '7 eof', 'BIND');
is(reply(8080, $good, command => 0), '7 eof', 'command 0');
is(reply(8080, $good, command => 4), '7 eof', 'command 4');
is(reply(8080, $good, command => 255), '7 eof', 'command 255');
is(reply(8080, $good, atyp => $_), '8 eof', "type $_") for 0, 2, 5, 255;
like(reply(8080, '127.0.0.1:0'), qr/^[1245] eof$/, 'port 0');

# all of them are an end, in the words of RFC 1928

my $c = socks(port(8080), '127.0.0.1:' . port(8099), type => 'name');
is($c->bnd(), '0.0.0.0:0', 'no address');

# errors are for the one who asked for them alone

my @all = map { socks(port(8080), $_, stop => 'auth') }
    map { ($good, '127.0.0.4:80', "127.0.0.1:${\port(8099)}", '10.0.0.2:80') }
    1 .. 5;

$_->write(socks_request($_->{to})) for @all;
is(join('', map { $_->reply() } @all), '0456' x 5, 'many at once');
is((grep { $_->rep() || $_->echo('SEE') eq 'SEE' } @all), 20, 'echo');

$_->close() for @all;

is(count_log($entry, qr/\[(?:alert|crit|emerg)\]/), 0, 'no alerts');
ok(wait_log($entry, qr/\[warn\].* request was refused: not allowed by .*/
    . qr/"trp_socks5_deny", destination: 127\.0\.0\.6:/), 'line about deny');
ok(wait_log($relay, qr/may not open "localhost:80" by "permitopen"/),
    'line of the relay');
ok(wait_log($reverse, qr/is not allowed by "trp_reverse_allow"/),
    'line of the reverse');
is(socks(port(8080), $good)->rep(), 0, 'success, as before');
ok(wait_log($entry, qr/^\Q$good\E (?:ok|aborted) 200$/, count => 7,
    file => 'access.log'), 'in the log');


sub reply {
    my ($port, $to, %opts) = @_;
    my $c = socks(port($port), $to, %opts);

    return defined $c->rep() ? $c->rep() . " $c->{end}" : $c->end();
}


# the reply, the end of the connection, and the line in the log

sub is_reply {
    my ($port, $to, $expected, $name) = @_;
    my ($rep, $status) = $expected =~ /^(\d) (.*)$/;

    is(reply($port, $to), "$rep eof", $name);
    ok(wait_log($entry, qr/^\Q$to\E $status (?:403|502)$/,
        file => 'access.log'), "$name: access log");
}


# a name server that knows a few names

sub dns {
    my ($socket) = @_;

    my %zone = (
        'refuses.example' => '127.0.0.1',
        'outside.example' => '12.0.0.1',
        'empty.example' => '',
    );

    while (1) {
        $socket->recv(my $query, 512);

        my ($id, $names) = unpack 'n x10 a*', $query;
        my ($question, $name, $type) = $names =~ /^((.*?\0)(..)..)/s or next;

        $name = join '.', unpack '(C/a)*', $name;
        $name =~ s/\.$//;
        next if $name eq 'silent.example';

        my $answer = $type eq "\0\1" && $zone{$name}
            ? pack 'n n n N n/a', 0xc00c, 1, 1, 3600, inet_aton($zone{$name})
            : '';

        $socket->send(pack('n n n n n n a* a*', $id,
            exists $zone{$name} ? 0x8180 : 0x8183, 1, $answer ? 1 : 0, 0, 0,
            $question, $answer));
    }
}
