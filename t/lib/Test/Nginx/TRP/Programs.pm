package Test::Nginx::TRP::Programs;

# Real programs for the tests of proxies: curl and others, an sshd, a name
# server, WebSockets in node, proxychains4, coturn.
#
#     my $out = output('curl', '-s', $url);           $? as usual
#     my $out = output({ in => $file, err => 1 }, 'ssh', ...);
#
#     my $ssh = sshd($t, port(8022));                 undef if there is none
#     output('ssh', @{$ssh->{options}}, '-p', port(8022), $ssh->{user}, 'ls');
#
#     output(proxychains($t, "socks5 127.0.0.1 $port"), 'curl', $url);
#
#     name_server($t, port(8053, udp => 1), 'a.example' => '127.0.0.1 ::1',
#         'text.example' => 'txt words');
#     dns_answers($bytes), dns_query('a.example', 'A')
#
#     my $result = websocket($t, $proxy_url, port(8090));
#
#     coturn($t, 8478, 8479, @more);
#
#     my ($curl) = example($t, 'socks-turn', 1080 => port(8080), ...);
#
# Each program has a minute.

use strict;
use warnings;

use Exporter qw/ import /;
use File::Copy qw/ copy /;
use File::Spec;
use FindBin;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Socket qw/ AF_INET AF_INET6 inet_ntop inet_pton /;
use Test::More ();

use Test::Nginx qw/ port /;
use Test::Nginx::TRP::Coturn;

our @EXPORT = qw/
    output executable sshd proxychains name_server dns_query dns_answers
    websocket coturn both_ports example
/;

use constant TIMEOUT => 60;

my %types = (A => 1, TXT => 16, AAAA => 28);


# What a program prints.  Options: in, a file for its input; err => 1, its
# errors too.

sub output {
    my %opts = ref $_[0] ? %{+shift} : ();
    my @command = ('timeout', TIMEOUT, @_);

    my $pid = open my $fh, '-|';
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDIN, '<', $opts{in} || '/dev/null';

        if ($opts{err}) {
            open STDERR, '>&', \*STDOUT;
        } else {
            open STDERR, '>', '/dev/null';
        }

        exec @command or POSIX::_exit(127);
    }

    binmode $fh;
    my $output = do { local $/; <$fh> };
    close $fh;

    return defined $output ? $output : '';
}


sub executable {
    my ($name) = @_;

    my ($found) = grep { -x } map { "$_/$name" } File::Spec->path(),
        qw! /usr/sbin /usr/local/sbin !;

    return $found;
}


# An sshd for the user of the test, in the directory of an nginx.  As root it
# needs /run/sshd all the time; if a test has made that, the last test that
# uses it removes it.

my $held;
END { _release() if $held && $held == $$; }

sub _hold {
    my $dir = '/run/sshd';

    _touch("$dir/trp-tests") if mkdir $dir, 0755;
    _touch("$dir/trp.$$");
    $held = $$;
}


sub _release {
    my $dir = '/run/sshd';

    unlink "$dir/trp.$$";
    rmdir $dir if !glob("$dir/trp.*") && unlink "$dir/trp-tests";
}


sub _touch {
    my ($file) = @_;
    open my $fh, '>', $file;
}


sub sshd {
    my ($t, $port) = @_;
    my $dir = $t->testdir();
    my $sshd = executable('sshd');

    return if !$sshd || grep { !executable($_) } qw/ ssh ssh-keygen /;

    output('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', "$dir/$_")
        for qw/ ssh_host ssh_user /;

    copy("$dir/ssh_user.pub", "$dir/ssh_keys");
    _hold() if $< == 0;

    $t->write_file('sshd_config', join "\n", "Port $port",
        'ListenAddress 127.0.0.1', "HostKey $dir/ssh_host",
        "PidFile $dir/sshd.pid", "AuthorizedKeysFile $dir/ssh_keys",
        'StrictModes no', 'UsePAM no', 'PasswordAuthentication no',
        'PermitRootLogin yes', 'Subsystem sftp internal-sftp', '');

    $t->run_daemon($sshd, '-D', '-f', "$dir/sshd_config", '-E',
        "$dir/sshd.log");
    $t->waitforsocket("127.0.0.1:$port");

    return {
        user => getpwuid($<) . '@127.0.0.1',
        options => [ '-q', '-F', '/dev/null', '-i', "$dir/ssh_user",
            map { ('-o', $_) } 'StrictHostKeyChecking=no', 'BatchMode=yes',
            'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes' ],
    };
}


# the beginning of a command that goes through these proxies, one by one

my $chains;

sub proxychains {
    my ($t, @proxies) = @_;
    my $name = 'proxychains.' . ++$chains;

    $t->write_file($name, join "\n", 'strict_chain', 'proxy_dns',
        'remote_dns_subnet 224', 'tcp_read_time_out 15000',
        'tcp_connect_time_out 15000', '[ProxyList]', @proxies, '');

    return ('proxychains4', '-q', '-f', $t->testdir() . "/$name");
}


# A name server: each name has addresses, or a text of any length.  Each line
# of dns.log is a question, a name and the number of a type.

sub name_server {
    my ($t, $port, %zone) = @_;

    my $socket = IO::Socket::INET->new(
        Proto => 'udp',
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
    ) or die "can't listen on $port: $!\n";

    my $log = $t->testdir() . '/dns.log';

    $t->run_daemon(sub {
        while (1) {
            my $from = $socket->recv(my $query, 4096);
            my ($name, $type) = _question($query) or next;

            my @answers = map { pack 'n3 N n/a', 0xc00c, $type, 1, 1, $_ }
                _records(\%zone, $name, $type);

            $socket->send(pack('n6', unpack('n', $query),
                defined $zone{$name} ? 0x8180 : 0x8183, 1, scalar @answers,
                0, 0) . substr($query, 12, length($name) + 6)
                . join('', @answers));

            open my $fh, '>>', $log or next;
            syswrite $fh, "$name $type\n";
        }
    });

    close $socket;
}


sub _question {
    my ($query) = @_;
    my @labels;

    return if length $query < 17;
    my $rest = substr $query, 12;

    while (length $rest) {
        my $label = unpack 'C/a', $rest;
        substr $rest, 0, 1 + length $label, '';
        last if $label eq '';
        push @labels, $label;
    }

    return if length $rest < 4;
    return (lc join('.', @labels), unpack 'n', $rest);
}


sub _records {
    my ($zone, $name, $type) = @_;
    my $data = defined $zone->{$name} ? $zone->{$name} : '';

    return $type == $types{TXT}
        ? join '', map { pack 'C/a', $_ } $1 =~ /(.{1,255})/gs : ()
        if $data =~ /^txt (.*)/s;

    return map { inet_pton(/:/ ? AF_INET6 : AF_INET, $_) }
        grep { $type == $types{/:/ ? 'AAAA' : 'A'} } split ' ', $data;
}


sub dns_query {
    my ($name, $type) = @_;

    return pack('n6', 0x1234, 0x0100, 1, 0, 0, 0)
        . join('', map { pack 'C/a', $_ } split(/\./, $name), '')
        . pack 'n2', $types{$type}, 1;
}


# the records of an answer as text; undef if there is no such name

sub dns_answers {
    my ($bytes) = @_;
    my ($name) = _question($bytes) or return 'no answer';
    my ($flags, $count) = unpack 'x2 n x2 n', $bytes;
    my @found;

    return 'no such name' if ($flags & 15) == 3;
    my $rest = substr $bytes, 12 + length($name) + 6;

    for (1 .. $count) {
        my ($type, $data) = unpack 'x2 n x6 n/a', $rest;
        substr $rest, 0, 12 + length $data, '';

        push @found, $type == $types{TXT} ? join '', unpack '(C/a)*', $data
            : inet_ntop($type == 1 ? AF_INET : AF_INET6, $data);
    }

    return "@found";
}


# A WebSocket server and a client that comes through a proxy: messages of
# these sizes, with small => 1 the small ones only, as text and as bytes, go
# there and come back.  Returns what the client has seen.

my $websocket = <<'EOJ';
const { WebSocketServer, WebSocket } = require('ws');
const { SocksProxyAgent } = require('socks-proxy-agent');
const [ proxy, port, large ] = process.argv.slice(2);

const sizes = [ 0, 1, 125, 126 ];
if (large) sizes.push(65535, 65536, 1000000);

const seen = { messages: 0, wrong: 0, bytes: 0 };
const end = () => { console.log(JSON.stringify(seen)); process.exit(); };

const server = new WebSocketServer({ host: '127.0.0.1', port }, () => {
    const agent = new SocksProxyAgent(proxy);
    const ws = new WebSocket(`ws://127.0.0.1:${port}/chat`, { agent });
    const sent = [];

    ws.on('open', () => {
        for (const size of sizes) {
            sent.push('x'.repeat(size), Buffer.alloc(size, 'y'));
        }
        sent.forEach((m) => ws.send(m));
        ws.ping('there?');
    });

    ws.on('pong', (data) => { seen.pong = data.toString(); });

    ws.on('message', (data, binary) => {
        const wanted = sent[seen.messages++];

        if (binary === (typeof wanted === 'string')
            || data.toString() !== wanted.toString())
        {
            seen.wrong++;
        }

        seen.bytes += data.length;

        if (seen.messages === sent.length) {
            ws.close(4000, 'enough');
        }
    });

    ws.on('close', (code, reason) => {
        seen.code = code;
        seen.reason = reason.toString();
        end();
    });

    ws.on('error', (e) => { seen.error = e.message; end(); });
});

server.on('connection', (ws) => {
    ws.on('message', (data, binary) => ws.send(data, { binary }));
});
EOJ

sub websocket {
    my ($t, $proxy, $port, %opts) = @_;
    my @large = $opts{small} ? () : ('large');
    my $script = $t->testdir() . '/websocket.js';

    $t->write_file('websocket.js', $websocket);

    local $ENV{NODE_PATH} = "$FindBin::Bin/../../objs/node/node_modules";
    delete local $ENV{NODE_OPTIONS};

    my $out = output({ err => 1 }, 'node', $script, $proxy, $port,
        @large);

    return eval { decode_json($out) } || { error => $out };
}


# coturn: UDP and TCP on port(8478), TLS on port(8479), user alice with the
# password "secret".  localhost.crt and localhost.key are there already.

sub coturn {
    my ($t, @more) = @_;
    my ($port, $tls) = (both_ports(shift @more), port(shift @more));
    my $dir = $t->testdir();

    $t->run_daemon(turnserver('--log-file', "$dir/coturn.log",
        qw/ --simple-log --no-stdout-log -L 127.0.0.1 -E 127.0.0.1
        --allow-loopback-peers --no-cli --no-dtls --lt-cred-mech
        -u alice:secret -r example.org --min-port 20000 --max-port 25999
        --relay-threads 1 /,
        '-p', $port, '--tls-listening-port', $tls, '--cert',
        "$dir/localhost.crt", '--pkey', "$dir/localhost.key", '-b',
        "$dir/turndb", '--pidfile', "$dir/coturn.pid", @more));

    return $t->waitforsocket("127.0.0.1:$port");
}


# a port whose other protocol is not reserved, as it is used, too

sub both_ports {
    my ($wanted) = @_;
    return port($wanted, both => 1);
}


# Runs nginx with a configuration of the examples, but for ports, and with the
# log and the pid where the test library has them.  Certificate and keys are
# there, and what the example's own commands make.  Returns the commands of curl
# in it.  Modules that are not dynamic skip the test: load_module wants files.

sub example {
    my ($t, $name, %ports) = @_;
    my $dir = $t->testdir();
    my $examples = "$FindBin::Bin/../../examples";

    my @modules = ($ENV{TEST_NGINX_GLOBALS} || '') =~ /load_module\s+(\S+);/g;
    Test::More::plan(skip_all => 'modules are not dynamic') if !@modules;

    open my $fh, '<', "$examples/$name/nginx.conf" or die "no example: $!\n";
    my $text = do { local $/; <$fh> };

    my $gen = "sh $examples/bin/trp-gen-cert";
    my ($recipe) = $text =~ /^# {5}(\(umask .*?)\n#\n/ms;

    $recipe =~ s/^#//mg;
    output('sh', '-ec', "cd $dir; $gen x509 --dns localhost -o cert"
        . " > x509.log; $gen ed25519 -o cert > cert/authorized_keys; $recipe");
    die "no certificate, key or secret\n" if $?;

    mkdir "$dir/$_" for qw/ logs modules /;
    symlink $_, "$dir/modules/" . (split '/')[-1] for @modules;

    my $known = join '|', map { quotemeta }
        sort { length $b <=> length $a } keys %ports;

    $text =~ s/\b($known)\b/$ports{$1}/g;
    my @curl = $text =~ /^# {5}curl ([^\n]*?)(?: {3}.*)?$/mg;

    $text =~ s/^(?:pid|error_log) .*\n//gm;
    $text =~ s!/var/log/nginx/!logs/!g;
    $text = "daemon off;\nworker_shutdown_timeout 1s;\n$text";
    $text = "user root;\n$text" if $> == 0;
    $t->write_file('nginx.conf', $text);

    # the example loads the modules

    local $ENV{TEST_NGINX_GLOBALS} = '';
    $t->run();

    return @curl;
}


1;
