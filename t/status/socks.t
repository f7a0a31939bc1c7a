#!/usr/bin/perl

# Tests for SOCKS5 servers and their users in the operator's view: what clients
# do wrong, streams and datagrams while they last, several workers, reloads.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use IO::Socket::INET;
use JSON::PP;

use Test::Nginx qw/ :DEFAULT http_content /;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ http stream stream_ssl udp /);

my $conf = <<'EOC';

%%TEST_GLOBALS%%

daemon off;
worker_processes WORKERS;
worker_shutdown_timeout 100ms;

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

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream agents {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse agents;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.0/8;

        proxy_half_close on;
        proxy_pass $trp_destination;
    }

    upstream relay {
        server 127.0.0.1:8443;
        trp_entry;
        trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%REUSEPORT;
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        trp_socks5_user "<b>&\"\\:secret";
        trp_socks5_user eve:secret;
        trp_socks5_deny 127.0.0.66;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        proxy_pass relay;
    }
}

EOC

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry', 'reverse'));
serve($t, port(8090), 'echo');
$t->run_daemon(\&echo_datagrams, IO::Socket::INET->new(Proto => 'udp',
    LocalAddr => '127.0.0.1', LocalPort => port(8980, udp => 1))
    || die("no socket: $!\n"));

$t->plan(2 * 26);

write_conf(1);
$t->run();
check('1 worker');

$t->stop();
write_conf(4);
$t->run();
check('4 workers');


sub check {
    my ($name) = @_;
    my $service = '127.0.0.1:' . port(8090);
    my @bob = (user => 'bob', password => 'secret');

    is(join(' ', map { $_->{listen} } @{view()->{socks5}}),
        '127.0.0.1:' . port(8081) . ' 127.0.0.1:' . port(8083),
        "$name: servers");
    is(row(8081), '0 0 0 0 0 0 0', "$name: at first");
    is_deeply(view()->{socks5_users}, [], "$name: at first, no users");

    # what is wrong before a request

    socks(port(8081), $service, user => 'bob', password => 'no');
    socks(port(8082), $service, user => 'mallory', password => 'secret');
    socks(port(8081), $service);
    socks(port(8081), $service, raw => "GET / HTTP/1.0\r\n\r\n");
    socks(port(8081), $service, raw => "\5\1\2\2");

    until_is("$name: no authentication, no SOCKS5", sub { row(8081) },
        '0 0 0 0 3 2 0');
    is_deeply(view()->{socks5_users}, [], "$name: strangers have no rows");

    # a stream, while it lasts

    my $c = socks(port(8081), $service, @bob);
    is($c->rep(), 0, "$name: connected");
    is($c->echo('x' x 1000), 'x' x 1000, "$name: there and back");

    until_like("$name: stream", sub { row(8081) },
        qr/^1 1 1\d{3} 1\d{3} 3 2 0$/);
    until_like("$name: user", sub { user('bob') }, qr/^1 1 1\d{3} 1\d{3} 0$/);

    my $before = row(8081);
    is($c->echo('x' x 500), 'x' x 500, "$name: more");
    my $after = join ' ', map { $_->[0] + $_->[1] } pairs($before,
        '0 0 500 500 0 0 0');
    until_is("$name: it grows", sub { row(8081) }, $after);

    $c->close();
    until_like("$name: its end", sub { row(8081) }, qr/^0 1 /);
    until_like("$name: of the user", sub { user('bob') }, qr/^0 1 /);

    # what is not allowed

    is(socks(port(8081), '127.0.0.66:80', @bob)->rep(), 2, "$name: denied");
    until_is("$name: denied, by code", sub { join ' ',
        %{server(8081)->{refused_streams_total}} }, 'not allowed 1');
    until_like("$name: denied, by user", sub { user('bob') }, qr/^0 2 .* 1$/);

    # a service that is not there

    isnt(socks(port(8081), '127.0.0.1:' . port(8091), @bob)->rep(), 0,
        "$name: refused");
    until_is("$name: refused, by code", sub {
        server(8081)->{refused_streams_total}{refused} || 0 }, 1);

    # datagrams, while the association lasts

    my $u = socks_udp(port(8082), @bob);
    my ($received, $sent) = (split ' ', user('bob'))[2, 3];
    is($u->ask('127.0.0.1:' . port(8980, udp => 1), 'x' x 300)->{data},
        'x' x 300, "$name: datagram");
    until_like("$name: datagrams",
        sub { my @now = split ' ', user('bob');
            ($now[2] - $received) . ' ' . ($now[3] - $sent) },
        qr/^3\d\d 3\d\d$/);
    is(server(8081)->{associated_total}, 1, "$name: associations");
    my $then = user('bob') =~ s/^1 //r;
    $u->close();
    until_like("$name: end of the association", sub { user('bob') },
        qr/^0 \Q$then\E$/);

    # a name is a name

    $c = socks(port(8081), $service, user => '<b>&"\\', password => 'secret');
    until_like("$name: a name of any kind", sub { user('<b>&"\\') }, qr/^1 1 /);

    # a server without users; a reload

    $c = socks(port(8083), $service);
    is($c->rep(), 0, "$name: nobody");

    reload_and_wait($t);
    until_like("$name: reload", sub { row(8083) . row(8081) },
        qr/^\d 1 .*^?0 5 /);
    like(user('bob'), qr/^0 4 /, "$name: reload, of the user");
}


sub view {
    return decode_json(http_content(http_get('/trp/status.json')) || '{}');
}


sub server {
    my ($port) = @_;
    my $listen = '127.0.0.1:' . port($port);

    return (grep { $_->{listen} eq $listen } @{view()->{socks5} || []})[0]
        || {};
}


sub row {
    my $row = server(@_);
    return join ' ', map { $row->{$_} // '' } qw/ streams streams_total
        received_bytes_total sent_bytes_total unauthenticated_total
        invalid_total associated_total /;
}


sub user {
    my ($name) = @_;
    my ($row) = grep { $_->{name} eq $name } @{view()->{socks5_users}};

    return $row ? join ' ', map { $row->{$_} } qw/ streams streams_total
        received_bytes_total sent_bytes_total denied_total / : 'none';
}


# the numbers of two lists, side by side

sub pairs {
    my @lists = map { [ split ' ' ] } @_;
    return map { [ $lists[0][$_], $lists[1][$_] ] } 0 .. $#{$lists[0]};
}


sub until_is {
    my ($name, $code, $expected) = @_;
    my $value;

    wait_for(sub { ($value = $code->()) eq $expected });
    is($value, $expected, $name);
}


sub until_like {
    my ($name, $code, $expected) = @_;
    my $value;

    wait_for(sub { ($value = $code->()) =~ $expected });
    like($value, $expected, $name);
}


sub write_conf {
    my ($workers) = @_;
    my $reuseport = $workers > 1 ? ' reuseport' : '';

    $t->write_file_expand('nginx.conf',
        $conf =~ s/WORKERS/$workers/r =~ s/REUSEPORT/$reuseport/gr);
}
