#!/usr/bin/perl

# Tests for configurations that stop "nginx -t" with a sentence.

use strict;
use warnings;

use Test::More;

use MIME::Base64 qw/ encode_base64 /;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);

my %configs;

$configs{relay} = <<'EOC';
    server {
        listen 127.0.0.1:8080 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }
EOC

$configs{entry} = <<'EOC';
    upstream relay {
        server 127.0.0.1:8080;
        trp_entry;
        trp_entry_key auth;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:22 bind=127.0.0.1;
        proxy_pass relay;
    }
EOC

$configs{reverse} = <<'EOC';
    upstream relay {
        server 127.0.0.1:8080;
    }

    server {
        trp_reverse relay;
        trp_reverse_key auth;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        proxy_pass $trp_destination;
    }
EOC

# role, what to replace, by what, message; the message names the line of the
# replacement, or of the text that follows, or no line if that is empty

my @tests = (
    [ 'relay', ' ssl;', ';', qr/"trp_relay".* needs TLS, write "listen PORT /,
        'trp_relay;' ],
    [ 'relay', 'trp_authorized_keys authorized_keys;', '',
        qr/no "trp_authorized_keys" is defined for "trp_relay"/, 'trp_relay;' ],
    [ 'relay', 'authorized_keys;', 'missing;',
        qr/open\(\) ".*\/missing" failed/, 'trp_relay;' ],
    [ 'relay', 'trp_relay;', 'trp_relay on;', qr/number of arguments in "trp/ ],
    [ 'relay', 'trp_relay;', "trp_relay;\ntrp_relay;",
        qr/"trp_relay" directive is duplicate/ ],
    [ 'relay', 'trp_authorized_keys',
        "trp_authorized_keys a; trp_authorized_keys",
        qr/"trp_authorized_keys" directive is duplicate/ ],
    map({ my $name = "trp_relay_$_";
        [ 'relay', 'trp_relay;', "trp_relay; $name 0;",
            qr/"$name" directive must be between 1ms and 24h/ ],
        [ 'relay', 'trp_relay;', "trp_relay; $name 25h;",
            qr/"$name" directive must be between 1ms and 24h/ ],
        [ 'relay', 'trp_relay;', "trp_relay; $name x;",
            qr/"$name" directive invalid value/ ],
        [ 'relay', 'trp_relay;', "trp_relay; $name 1s;\n$name 1s;",
            qr/"$name" directive is duplicate/ ]
    } qw/ auth_timeout open_timeout heartbeat /),

    map({ my ($args, $re) = @$_;
        [ 'relay', 'server {', "trp_relay_zone $args; server {", $re ]
    } [ '1m', qr/"trp_relay_zone" directive needs a name and a size, write "t/
            . qr/rp_relay_zone trp 16m"/ ],
        [ 'trp x', qr/invalid size "x" in "trp_relay_zone", write as in "trp_r/
            . qr/elay_zone trp 16m"/ ],
        [ 'trp 32k', qr/"trp_relay_zone" directive is too small, write at /
            . qr/least 64k/ ],
        [ 'trp 1m idle=1d', qr/invalid parameter "idle=1d" in "trp_relay_zone"/
            . qr/, write "inactive=TIME"/ ],
        [ 'trp 1m inactive=x', qr/invalid time in "inactive=x", write as in "i/
            . qr/nactive=1d"/ ],
        [ 'trp_services 1m', qr/"trp_services" in "trp_relay_zone" is like the/
            . qr/ names of other zones of trp, write a name without "trp_"/ ],
        [ "trp 1m;\ntrp_relay_zone b 1m", qr/the zone "trp" is already set in /
            . qr/.*nginx\.conf:\d+, leave one of them out/ ]),

    [ 'entry', 'trp_entry;', "trp_entry;\ntrp_entry;",
        qr/"trp_entry" directive is duplicate/ ],
    [ 'entry', 'trp_entry;', "trp_entry;\nleast_conn;",
        qr/"trp_entry" must come after the load balancing method of upstream /
        . qr/"relay"/, 'upstream relay' ],
    [ 'entry', 'proxy_pass relay;', "proxy_pass relay; trp_entry;",
        qr/"trp_entry" directive is not allowed here/ ],
    [ 'entry', 'trp_route %%PORT_8081%%:22 bind=127.0.0.1;',
        'listen 127.0.0.1:%%PORT_8081%%;',
        qr/"proxy_pass" cannot pass to "relay" in .*, the upstream has "trp_/
        . qr/entry" and nothing says where to, write "trp_route PORT:HOST:PO/
        . qr/RT" in place of "listen", or "trp_socks5" or "trp_publish" beside it/,
        'server {' ],
    [ 'entry', 'trp_route %%PORT_8081%%:22 bind=127.0.0.1;',
        'listen 127.0.0.1:%%PORT_8081%%; trp_publish; '
        . 'proxy_pass 127.0.0.1:1; } server { trp_route 1:1;',
        qr/"trp_publish" in .* needs "proxy_pass" to an upstream with "trp_en/
        . qr/try", "127.0.0.1" has none/, 'trp_publish;' ],
    [ 'entry', 'server 127.0.0.1', "trp_route 1:1; server 127.0.0.1",
        qr/"trp_route" directive is not allowed here/ ],
    [ 'entry', 'trp_entry;', 'trp_entry; trp_entry_open_timeout 0;',
        qr/"trp_entry_open_timeout" directive must be between 1ms and 24h/ ],

    [ 'reverse', 'trp_reverse relay;', 'trp_reverse other;',
        qr/no upstream "other" for "trp_reverse".*, write "upstream other/,
        'trp_reverse other;' ],
    [ 'reverse', 'trp_reverse relay;', "trp_reverse relay;\ntrp_reverse relay;",
        qr/"trp_reverse" directive is duplicate/ ],
    [ 'reverse', 'trp_reverse relay;',
        'listen 127.0.0.1:%%PORT_8081%%; trp_reverse relay;',
        qr/"listen" cannot be used with "proxy_pass \$trp_destination" in .*, /
        . qr/its users have no destination, leave it out: "trp_reverse" takes/,
        'server {' ],
    [ 'reverse', 'trp_reverse relay;', 'listen 127.0.0.1:%%PORT_8081%%;',
        qr/its users have no destination, write "trp_reverse UPSTREAM" in pla/,
        'server {' ],
    [ 'reverse', 'trp_reverse relay;',
        'listen 127.0.0.1:%%PORT_8081%%; trp_reverse_publish 1 1;',
        qr/"trp_reverse_publish" cannot be used in .* server that has "trp_re/,
        'server {' ],
    [ 'reverse', 'trp_reverse relay;', 'trp_reverse;',
        qr/number of arguments in "trp_reverse"/ ],
    map({ [ 'reverse', 'trp_reverse relay;',
            "trp_reverse relay; trp_reverse_publish $_->[0];", $_->[1] ] }
        [ '20000-20009 22', qr/range of ports "20000-20009" in .* each port/ ],
        [ '*.a 22', qr/invalid name "\*.a" in "trp_reverse_publish", write a/ ],
        [ '20000 a', qr/destination "a" in "trp_reverse_publish" has / ]),
    map({ [ 'reverse', 'trp_reverse relay;',
            "trp_reverse relay; trp_reverse_allow $_->[0];",
            qr/"\Q$_->[0]\E" in "trp_reverse_allow" $_->[1]/ ] }
        [ '127.0.0.1:0', 'has an invalid port' ],
        [ '127.0.0.1:65536', 'has an invalid port' ],
        [ '127.0.0.1:80-', 'has an invalid port' ],
        [ '127.0.0.1:90-80', 'has a port range that ends before it starts' ],
        [ '127.0.0.1:', 'has an empty port' ],
        [ ':80', 'has no host, write "\*:PORT" for every host' ],
        [ '10.0.0.0/33', 'has an invalid block' ],
        [ '10.0.0.256', 'has an invalid host' ],
        [ '[10.0.0.1]:80', 'has an invalid IPv6 address in brackets' ],
        [ '[::1', 'has an unclosed bracket' ],
        [ '::1:80:90:', 'has too many colons' ],
        [ 'a*.example', 'has an invalid wildcard' ],
        [ '*.', 'has an invalid wildcard' ],
        [ 'unix:/run/../*', 'has an invalid path of a unix socket' ]),
    [ 'reverse', 'trp_reverse relay;',
        'trp_reverse relay; trp_reverse_allow "";',
        qr/"" in "trp_reverse_allow" is empty/ ],
);

# what entries and reverses have in common

for my $role (qw/ entry reverse /) {
    my $key = "trp_${role}_key auth;";
    my $place = $role eq 'entry' ? 'trp_entry;' : 'trp_reverse relay;';
    my $bad = sub {
        my ($args, $message, @where) = @_;
        return [ $role, $key, "$key\ntrp_${role}_$args;", $message, @where ];
    };

    push @tests,
        [ $role, $key, '',
            qr/no "trp_${role}_key" is defined for "trp_$role"/, $place ],
        $bad->('key auth', qr/"trp_${role}_key" directive is duplicate/),

        map({ [ $role, 'auth;', "$_->[0];",
            qr/key file "\S+\/$_->[0]" $_->[1]/, $place ] }
            [ 'auth.0644', 'can be read by others, run "chmod 600 \S+0644"' ],
            [ 'auth.0640', 'can be read by others' ],
            [ 'auth.rsa', 'is an RSA key, make an Ed25519 key with "ssh-key' ],
            [ 'auth.ec', 'is an ECDSA key' ],
            [ 'auth.x25519', 'is not an Ed25519 key' ],
            [ 'auth.encrypted', 'is encrypted, remove the passphrase' ],
            [ 'auth.pub', 'is a public key, the private key is needed, '
                . 'write "\S+\/auth"' ],
            [ 'auth.cut', 'is cut off, it has no END line' ],
            [ 'auth.empty', 'is empty' ],
            [ 'auth.raw', 'has a public half that does not belong to its' ],
            [ 'auth.large', 'is larger than \d+ bytes' ]),
        [ $role, 'auth;', 'missing;',
            qr/open\(\) ".*\/missing" failed/, $place ],

        [ $role, "trp_${role}_ssl_trusted_certificate localhost.crt;", '',
            qr/no "trp_${role}_ssl_trusted_certificate" is defined for /,
            $place ],
        [ $role, 'localhost.crt;', 'missing;',
            qr/"\S+\/missing".* failed/, '' ],
        $bad->('ssl_certificate localhost.crt',
            qr/no "trp_${role}_ssl_certificate_key" is defined for/, $place),
        $bad->('ssl_crl missing', qr/"\S+\/missing".* failed/, ''),
        $bad->('ssl_password_file missing', qr/open\(\) ".*\/missing" failed/),
        $bad->('resolve ipv4=no', qr/invalid parameter "ipv4=no" in /),
        $bad->('resolve ipv6=on ipv6=on', qr/invalid parameter "ipv6=on" in /),
        $bad->('resolve ipv4=off ipv6=off', qr/leaves no addresses/),
        $bad->("resolve ipv4=on; trp_${role}_resolve ipv6=off",
            qr/"trp_${role}_resolve" directive is duplicate/),
        $bad->('ssl_protocols SSLv3', qr/invalid value "SSLv3"/),
        $bad->('ssl_verify maybe', qr/it must be "on" or "off"/),
        $bad->('ssl_verify_depth 101', qr/value must be between 0 and 100/),
        $bad->('ssl_ciphers NONSENSE',
            qr/SSL_CTX_set_cipher_list\("NONSENSE"\)/, ''),
        $bad->('ssl_conf_command Nonsense on',
            qr/SSL_CONF_cmd\("Nonsense"/, ''),

        map({ my $name = $_;
            map({ $bad->("$name $_",
                qr/invalid name "$_" in "trp_${role}_$name", use up to 64 lett/)
            } 'a,b', 'a=b', 'a"b', 'x' x 65),
            $bad->("$name ''", qr/invalid name "" in/),
            $bad->("$name a;\ntrp_${role}_$name a",
                qr/"trp_${role}_$name" directive is duplicate/)
        } qw/ group name /),

        map({ $bad->("pool $_->[0]", qr/$_->[1]/) }
            map({ [ $_, "invalid parameter \"$_\" in \"trp_${role}_pool\", " ] }
                qw/ 4 idle=0 idle=x idle= max=0 max=65536 idle=-1 size=1 /),
            [ 'idle=1 idle=2', 'invalid parameter "idle=2"' ],
            [ 'idle=8 max=4', '"trp_\w+_pool" directive has a "max" that is' ],
            [ "idle=1;\ntrp_${role}_pool max=4", 'directive is duplicate' ]),

        map({ my $name = $_;
            $bad->("$name 0",
                qr/"trp_${role}_$name" directive must be between 1ms and 24h/),
            $bad->("$name 1s;\ntrp_${role}_$name 1s",
                qr/"trp_${role}_$name" directive is duplicate/)
        } qw/ connect_timeout heartbeat /);
}

# lines of authorized_keys

my $key = trp_keys($t, 'auth');
my $other = trp_keys($t, 'other');

(my $blob = $key) =~ s/ auth$//;

my @lines = (
    [ 'nonsense', 'has an unknown option: "nonsense"' ],
    [ "nonsense=\"1\" $key", 'has an unknown option: "nonsense"' ],
    [ "role=\"entry\",no-pty $key", 'has an unknown option: "no-pty"' ],
    [ "\xc3\xa4 $key", 'has an unknown option: "\\\\xC3\\\\xA4"' ],
    [ '-----BEGIN OPENSSH PRIVATE KEY-----', 'is of a private key, write' ],
    [ substr($blob, 12), 'has no key type, write "ssh-ed25519" before the' ],
    [ 'ssh-ed25519', 'has no key after the key type' ],
    [ 'ssh-rsa AAAAB3NzaC1yc2E=', 'has a key of another type, only' ],
    [ substr($blob, 0, -8), 'has a key that is not a whole Ed25519 key' ],
    [ substr($blob, 0, -3), 'has a key that is not valid base64' ],
    [ "${blob}AAAA", 'has a key that is not valid base64' ],
    [ 'ssh-ed25519 ' . encode_base64(pack('N/a N/a', 'ssh-ed25519', "\0" x 32),
        ''), 'has a key that is not a valid Ed25519 key' ],

    [ "role=\"admin\" $key", 'has an invalid role, write "entry" or "rev' ],
    [ "role=\"\" $key", 'has an invalid role' ],
    [ "role=entry $key",
        'has an option whose value is not in double quotes: "role"' ],
    [ "role=\"entry $key", 'has an option with an unclosed quote: "role"' ],
    [ "role $key", 'has an option without a value: "role"' ],
    [ "role=\"entry\",role=\"entry\" $key", 'has a duplicate option' ],
    [ "role=\"entry\", group=\"a\" $key", 'has an empty option' ],
    [ "role=\"entry\"group=\"a\" $key", 'has text after a quoted value' ],
    [ 'role="entry"', 'has options but no key' ],
    [ "group=\"a,,b\" $key", 'has an empty group' ],
    [ "group=\"a b\" $key", 'has a group with a blank in it' ],
    [ "group=\"a*b\" $key", 'has a group with "\*" before its end' ],
    [ "group=\"!a\" $key", 'has a group with "\?" or "!"' ],
    [ "permitopen=\"10.0.0.5\" $key", 'has a permitopen without a port' ],
    [ "permitopen=\"unix:/run/../a\" $key", 'has an invalid permitopen' ],
    [ "permitopen=\"10.0.0.5:x\" $key", 'has an invalid permitopen' ],
    [ "from=\"10.0.0.0/33\" $key", 'has an invalid from, write it as' ],
    [ "from=\"host\" $key", 'has an invalid from' ],
    [ "expiry-time=\"tomorrow\" $key", 'has an invalid expiry-time' ],
    [ "expiry-time=\"20300230\" $key", 'has an invalid expiry-time' ],
    [ "expiry-time=\"2030010\" $key", 'has an invalid expiry-time' ],
    [ $other, 'repeats a key from above' ],
);

make_files($t);

plan(tests => 4 + @tests + @lines + 2);

# all is well before anything is replaced

for my $role (sort keys %configs) {
    config($t, $role);
    like(nginx_test($t), qr/test is successful$/, "$role: good");
}

for my $test (@tests) {
    my ($role, $from, $to, $message, $where) = @$test;

    my $line = config($t, $role, $from, $to, defined $where ? $where : $to);
    my $name = $to eq '' ? "without $from" : $to;

    like(nginx_test($t),
        qr/^(?=.*nginx\.conf:?$line\b).*\[emerg\] .*$message.*test failed$/s,
        "$role: " . $name =~ s/\n/ /gr);
}

config($t, 'relay');

for my $test (@lines) {
    my ($text, $message) = @$test;

    $t->write_file('authorized_keys', "# keys\n$other\n\n \t\r\n$text\n$key\n");
    like(nginx_test($t), qr/\[emerg\] .*\/authorized_keys", line 5, $message/,
        'authorized_keys: ' . $text =~ s/ .{68} / KEY /r);
}

$t->write_file('authorized_keys', "# none\n");
like(nginx_test($t), qr/\[warn\] .*has no key.* test is successful$/s,
    'authorized_keys: no key');


# Writes the configuration of a role.  Returns the number of the last line
# that has the text.

sub config {
    my ($t, $role, $from, $to, $where) = @_;
    my $text = $configs{$role};

    if (defined $from) {
        my $at = index $text, $from;
        die "no \"$from\" in the config of $role\n" if $at < 0;
        substr $text, $at, length $from, $to;
    }

    my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%
EOC

    $t->write_file_expand('nginx.conf', "$head\n$text}\n");

    return '' if !defined $where || $where eq '';

    # the globals may have lines too

    my $conf = $t->read_file('nginx.conf');
    my $at = rindex $conf, $where;
    die "no \"$where\" in the config\n" if $at < 0;

    $at += length($where) - 1;
    return 1 + (substr($conf, 0, $at) =~ tr/\n//);
}


sub make_files {
    my ($t) = @_;
    my $dir = $t->testdir();

    trp_cert($t);
    $t->write_file('authorized_keys', "$key\n");

    my $pem = $t->read_file('auth');

    $t->write_file('auth.0644', $pem);
    $t->write_file('auth.0640', $pem);
    $t->write_file('auth.cut', substr $pem, 0, -30);
    $t->write_file('auth.empty', "\n");
    $t->write_file('auth.raw', 'x' x 64);
    $t->write_file('auth.large', 'x' x 20_000);

    my %commands = (
        rsa => 'genpkey -algorithm rsa',
        ec => 'genpkey -algorithm ec -pkeyopt ec_paramgen_curve:P-256',
        x25519 => 'genpkey -algorithm x25519',
        encrypted => 'genpkey -algorithm ed25519 -aes256 -pass pass:x',
        pub => "pkey -in $dir/auth -pubout",
    );

    for my $name (sort keys %commands) {
        system("openssl $commands{$name} -out $dir/auth.$name 2>/dev/null") == 0
            or die "openssl $commands{$name} has failed\n";
    }

    chmod 0600, glob "$dir/auth.*";
    chmod 0644, "$dir/auth.0644";
    chmod 0640, "$dir/auth.0640";
    chown 65534, 65534, "$dir/auth.0640";
}
