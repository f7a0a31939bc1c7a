#!/usr/bin/perl

# Tests for users of SOCKS5 and their passwords: trp_socks5_user,
# trp_socks5_user_file.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ sha1 sha1_base64 /;
use MIME::Base64 qw/ encode_base64 /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::SOCKS;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    log_format user "$server_port $trp_socks5_user $status";
    access_log %%TESTDIR%%/access.log user;

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
        listen 127.0.0.1:%%PORT_8080%%;
        trp_socks5;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        trp_socks5_user "al ice:pass:word ";
        trp_socks5_user LONG_NAME:LONG_PASSWORD;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        trp_socks5;
        trp_socks5_user_file users;
        proxy_pass relay;
    }

    server {
        listen 127.0.0.1:%%PORT_8083%%;
        trp_socks5;
        trp_socks5_user bob:secret;
        trp_socks5_user_file users;
        proxy_pass relay;
    }
}

EOC

my ($long_name, $long_password) = map { $_ x 255 } qw/ n p /;

$t->write_file('nginx.conf', $t->read_file('nginx.conf')
    =~ s/LONG_NAME/$long_name/r =~ s/LONG_PASSWORD/$long_password/r);

my %hashes = (
    plain => '{PLAIN}secret',
    sha => '{SHA}' . sha1_base64('secret') . '=',
    ssha => '{SSHA}' . encode_base64(sha1('secretsalt') . 'salt', ''),
    apr1 => passwd('-apr1'),
    md5 => passwd('-1'),
    sha256 => passwd('-5'),
    sha512 => passwd('-6'),
    des => crypt('secret', 'ab'),
);

my $users = join '', map { "$_:$hashes{$_}\n" } sort keys %hashes;

$t->write_file('users', "# users\n\n${users}carol:{PLAIN}secret:a comment\n"
    . "#dave:{PLAIN}secret\nlast:{PLAIN}secret");

trp_cert($t);
$t->write_file('authorized_keys', join "\n", trp_keys($t, 'entry', 'reverse'));
serve($t, port(8090), 'echo');

$t->run()->plan(41 + 4 * keys %hashes);

# without users

is(ask($t, 8080), 'SEE', 'nobody');
is(ask($t, 8080, methods => [ 2, 0 ]), 'SEE', 'nobody has to say who he is');
is(ask($t, 8080, user => 'bob', password => 'secret'), 'method 255 eof',
    'no need to say who he is');
is(ask($t, 8080, methods => []), 'method 255 eof', 'offers nothing');
ok(wait_log($t, qr/^${\port(8080)} -? 200$/, file => 'access.log'), 'no name');

# users of the configuration

is(ask($t, 8081), 'method 255 eof', 'says nothing');
is(ask($t, 8081, methods => [ 0, 1, 255 ]), 'method 255 eof', 'other methods');
is(ask($t, 8081, user => 'bob', password => 'secret'), 'SEE', 'bob');
is(ask($t, 8081, user => 'bob', password => 'secret', methods => [ 0, 2 ]),
    'SEE', 'both methods');
is(ask($t, 8081, user => 'al ice', password => 'pass:word '), 'SEE',
    'blanks and a colon');
is(ask($t, 8081, user => $long_name, password => $long_password), 'SEE',
    'longest name and password');
ok(wait_log($t, qr/^${\port(8081)} $_ 200$/, file => 'access.log'),
    'name in the log: ' . substr $_, 0, 6)
    for 'bob', 'al ice', $long_name;

for my $case ([ 'bob', 'Secret' ], [ 'bob', 'secre' ], [ 'bob', 'secrets' ],
    [ 'bob', '' ], [ 'Bob', 'secret' ], [ 'bo', 'secret' ], [ '', 'secret' ],
    [ 'bobb', 'secret' ], [ '', '' ], [ 'al ice', 'secret' ],
    [ 'bob', "secret\0" ], [ "bob\0", 'secret' ],
    [ $long_name, substr($long_password, 1) ])
{
    my ($name, $password) = @$case;

    is(ask($t, 8081, user => $name, password => $password), 'auth 1 eof',
        'wrong: "' . substr("$name $password" =~ s/\0/\\0/gr, 0, 20) . '"');
}

ok(wait_log($t, qr/^${\port(8081)} -? 403$/, file => 'access.log',
    count => 15), 'no name in the log then');
is(count_log($t, qr/\[$_->[0]\].* user "bob" was not found, or the password /
    . qr/does not match.*client: 127\.0\.0\.1, server: /), $_->[1],
    "but a line: $_->[0]") for [ warn => 1 ], [ info => 4 ];
is(count_log($t, qr/ password .*(?:secre|pass:word|$long_password)/), 0,
    'without a password');

# users of a file

for my $name (sort keys %hashes) {
    is(ask($t, 8082, user => $name, password => 'secret'), 'SEE', $name);
    is(ask($t, 8082, user => $name, password => 'Secret'), 'auth 1 eof',
        "$name: wrong");
    is(ask($t, 8082, user => $name, password => "secret\0x"), 'auth 1 eof',
        "$name: a null byte");
    is(ask($t, 8082, user => $name, password => $hashes{$name}), 'auth 1 eof',
        "$name: the line of the file");
}

is(ask($t, 8082, user => 'carol', password => 'secret'), 'SEE', 'comment');
is(ask($t, 8082, user => 'dave', password => 'secret'), 'auth 1 eof',
    'commented out');
is(ask($t, 8082, user => 'last', password => 'secret'), 'SEE', 'no newline');

# both

is(ask($t, 8083, user => 'bob', password => 'secret'), 'SEE',
    'both: directive');
is(ask($t, 8083, user => 'carol', password => 'secret'), 'SEE', 'both: file');

# the file is read again

$t->write_file('users', "carol:{PLAIN}other\n");
is(ask($t, 8082, user => 'carol', password => 'secret'), 'SEE', 'not yet');
reload_and_wait($t);
is(ask($t, 8082, user => 'carol', password => 'secret'), 'auth 1 eof',
    'old password');
is(ask($t, 8082, user => 'carol', password => 'other'), 'SEE', 'new one');

# a name is no way into the log

is(ask($t, 8081, user => "x\n2000/01/01 [emerg] y", password => 'z'),
    'auth 1 eof', 'newline in a name');
ok(wait_log($t, qr/user "x.*2000\/01\/01 \[emerg\] y"/), 'in the same line');


# an answer of the destination, or how far it came

sub ask {
    my ($t, $port, %opts) = @_;
    my $c = socks(port($port), '127.0.0.1:' . port(8090), %opts);

    return "method 255 $c->{end}" if ($c->method() || 0) == 255;
    return "auth $c->{auth} $c->{end}" if $c->auth();
    return "reply $c->{rep}" if $c->rep();
    return $c->end() if $c->end();
    return $c->echo('SEE');
}


sub passwd {
    my ($type) = @_;

    chomp(my $hash = qx/openssl passwd $type -salt saltsalt secret/);
    return $hash;
}
