package Test::Nginx::TRP::WebRTC;

# WebRTC through a TURN server: two RTCPeerConnections of one program that may
# use relayed candidates only, in Chromium or in node with one of the packages
# that scripts/node-modules installs.
#
#     my $browser = browser($t, port(8090), accept => 'localhost.crt');
#     my $result = $browser->relay(url => 'turn:127.0.0.1:3478',
#         username => 'user', password => 'secret');
#
#     my $result = node_relay($t, 'werift', url => ...);
#
# See webrtc.js for what they do, and for the result.
#
# Chromium verifies certificates; "accept" names one that needs no authority.
# It resolves no name but localhost, so nothing leaves this machine.

use strict;
use warnings;

use Digest::SHA qw/ sha256_base64 /;
use Exporter qw/ import /;
use File::Spec;
use FindBin;
use IO::Socket::INET;
use IO::Socket::IP;
use JSON::PP;
use POSIX qw/ :sys_wait_h setpgid /;
use Test::More ();

use Test::Nginx::TRP::Waiting qw/ wait_for /;

our @EXPORT = qw/ browser browser_missing node_missing node_relay /;

use constant TIMEOUT => 60;

my $script = __FILE__ =~ s/\w+\.pm$/webrtc.js/r;

my $page = <<'EOP';
<!DOCTYPE html>
<title>relay</title>
<link rel="icon" href="data:,">
<script src="/script"></script>
<script>
(async () => {
    for (let n = 1; ; n++) {
        const c = await (await fetch('/case/' + n)).json();
        const result = await relay(c, RTCPeerConnection,
            () => fetch('/go/' + n));

        await fetch('/result/' + n,
            { method: 'POST', body: JSON.stringify(result) });
    }
})();
</script>
EOP


# What keeps a browser from working here, if anything.  It asks the routing
# table for its own address, with no packet sent, and gathers nothing if there
# is no default route.

sub browser_missing {
    my (%opts) = @_;
    my ($family, $far) = $opts{ipv6} ? ('IPv6', '2001:4860:4860::8888')
        : ('IPv4', '8.8.8.8');

    return 'chromium not found' if !_executable('chromium');

    return "no default route for $family, which Chromium wants"
        if !IO::Socket::IP->new(Proto => 'udp', PeerHost => $far,
            PeerPort => 53);

    return;
}


sub browser {
    my ($t, $port, %opts) = @_;
    my $dir = $t->testdir();

    my $self = bless { dir => "$dir/browser-$port", cases => 0 };

    mkdir $self->{dir} or die "mkdir: $!\n";
    mkdir "$self->{dir}/home" or die "mkdir: $!\n";

    my $listener = IO::Socket::INET->new(
        Proto => 'tcp',
        Listen => 20,
        LocalAddr => "127.0.0.1:$port",
        ReuseAddr => 1,
    ) or die "can't listen on $port: $!\n";

    $t->run_daemon(\&_serve, $listener, $self->{dir});
    close $listener;

    my @flags = (qw/
        --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage
        --disable-background-networking --disable-component-update
        --disable-breakpad --no-first-run --no-proxy-server
        --allow-loopback-in-peer-connection
        /,
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, '
            . 'EXCLUDE localhost, EXCLUDE ::1',
        "--user-data-dir=$self->{dir}/profile");

    push @flags, '--ignore-certificate-errors-spki-list='
        . _key_digest("$dir/$opts{accept}") if $opts{accept};

    $t->run_daemon(\&_browse, $self->{dir}, @flags,
        "http://127.0.0.1:$port/");

    return $self;
}


sub relay {
    my ($self, %case) = @_;
    return $self->result($self->start(%case));
}


# The same in steps: with pause => 1, the 256 KiB wait for go().

sub start {
    my ($self, %case) = @_;
    my $n = ++$self->{cases};

    _put("$self->{dir}/case.$n", encode_json(\%case));
    return $n;
}


sub paused {
    my ($self, $n) = @_;
    return wait_for(sub { -e "$self->{dir}/paused.$n" }, TIMEOUT);
}


sub go {
    my ($self, $n) = @_;
    _put("$self->{dir}/go.$n", '');
}


sub result {
    my ($self, $n) = @_;
    my $file = "$self->{dir}/result.$n";

    return _result(_get($file))
        if !$self->{dead} && wait_for(sub { -e $file }, TIMEOUT);

    Test::More::diag(_get("$self->{dir}/log")) if !$self->{dead}++;
    return _result('');
}


sub _result {
    my ($text) = @_;

    my $result = eval { decode_json($text) } || {
        state => "no answer: $text", received => [], pairs => [], errors => []
    };

    Test::More::note("$result->{state}; ", join '; ',
        map { @{$result->{$_}} } qw/ received pairs errors /);
    return $result;
}


# Chromium with its helpers is a process group

sub _browse {
    my ($dir, @args) = @_;

    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        setpgid(0, 0);
        $ENV{HOME} = "$dir/home";
        delete @ENV{qw/ DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS /};
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/log";
        open STDERR, '>&', \*STDOUT;
        exec 'chromium', @args or POSIX::_exit(127);
    }

    $SIG{TERM} = sub { kill 'TERM', $pid };
    waitpid $pid, 0;

    # ends what is left of the group, too

    wait_for(sub { kill('KILL', -$pid) == 0 });
}


# A web server: the page asks for the next case, for permission to go on, and
# posts the result.

sub _serve {
    my ($listener, $dir) = @_;

    local $SIG{CHLD} = 'IGNORE';

    while (1) {
        my $s = $listener->accept() or next;
        my $pid = fork();
        next if !defined $pid || $pid;

        close $listener;
        eval { _answer($s, $dir, getppid()) };
        POSIX::_exit(0);
    }
}


sub _answer {
    my ($s, $dir, $parent) = @_;
    my $head = '';

    while ($head !~ /\r\n\r\n/) {
        sysread $s, $head, 4096, length $head or return;
    }

    ($head, my $body) = split /\r\n\r\n/, $head, 2;

    my ($path, $n) = $head =~ m!^\w+ (/[a-z]*)/?(\d*) ! or return;
    my ($length) = $head =~ /^content-length: *(\d+)/mi;

    while (length $body < ($length || 0)) {
        sysread $s, $body, 65536, length $body or return;
    }

    my $answer = '';

    if ($path eq '/') {
        $answer = $page;

    } elsif ($path eq '/script') {
        $answer = _get($script);

    } elsif ($path eq '/case') {
        _comes("$dir/case.$n", $parent) or return;
        $answer = _get("$dir/case.$n");

    } elsif ($path eq '/go') {
        _put("$dir/paused.$n", '');
        _comes("$dir/go.$n", $parent) or return;

    } elsif ($path eq '/result') {
        _put("$dir/result.$n", $body);
    }

    print {$s} "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n",
        'Content-Length: ', length $answer, "\r\nConnection: close\r\n\r\n",
        $answer;
    close $s;
}


# the same with a package of node

sub node_missing {
    my ($module) = @_;

    return 'node not found' if !_executable('node');
    return "no npm package $module, see scripts/node-modules"
        if !-e _node_modules() . "/$module";

    return;
}


# The directory's localhost.crt is trusted.

sub node_relay {
    my ($t, $module, %case) = @_;
    my $cert = $t->testdir() . '/localhost.crt';

    local $ENV{NODE_PATH} = _node_modules();
    local $ENV{NODE_EXTRA_CA_CERTS} = -e $cert ? $cert : '';
    delete local $ENV{NODE_OPTIONS};

    open my $fh, '-|', 'timeout', TIMEOUT, 'node', $script, $module,
        encode_json(\%case) or die "can't run node: $!\n";
    local $/;
    return _result(<$fh> // '');
}


sub _node_modules {
    return "$FindBin::Bin/../../objs/node/node_modules";
}


sub _executable {
    my ($name) = @_;
    return grep { -x "$_/$name" } File::Spec->path();
}


# a file of the test, which may also have ended

sub _comes {
    my ($file, $parent) = @_;
    wait_for(sub { -e $file || getppid() != $parent }, 600);
    return -e $file;
}


# by which the browser identifies a certificate

sub _key_digest {
    my ($file) = @_;

    my $der = do {
        local $/;
        open my $fh, '-|', "openssl x509 -in '$file' -pubkey -noout"
            . ' | openssl pkey -pubin -outform DER'
            or die "can't run openssl: $!\n";
        <$fh>;
    };

    return sha256_base64($der) . '=';
}


sub _put {
    my ($file, $text) = @_;

    open my $fh, '>', "$file.new" or die "can't write $file: $!\n";
    print {$fh} $text;
    close $fh or die "can't write $file: $!\n";
    rename "$file.new", $file or die "can't rename to $file: $!\n";
}


sub _get {
    my ($file) = @_;

    open my $fh, '<', $file or return '';
    local $/;
    return <$fh> // '';
}


1;
