package Test::Nginx::TRP;

# Helpers of this project's tests: keys, waiting for events, servers that
# behave in known ways, a checked transfer, and a look at processes.
#
# They need only the public interface of Test::Nginx.

use strict;
use warnings;

use Digest::SHA;
use Errno qw/ EAGAIN ECONNRESET EINTR EPIPE EWOULDBLOCK /;
use Exporter qw/ import /;
use File::Copy qw/ copy /;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw/ encode_base64 /;
use POSIX ();
use Socket qw/ SOL_SOCKET SO_LINGER SHUT_WR /;
use Time::HiRes qw/ sleep time /;

our @EXPORT = qw/
    trp_cert trp_ca trp_issue trp_crl trp_keys
    wait_for wait_log count_log reload_and_wait
    serve serve_on served
    connect_to listener accepted full_listener fill noise transfer visit drain
    end_of reset_of abort client_hello
    nginx_test nginx_pid worker_pids
    fd_count private_memory anon_memory cpu_time tcp_count dialling
/;

use constant {
    TIMEOUT => 30,
    CHUNK => 65536,
};


# certificates and keys

# Writes localhost.crt and localhost.key into the directory of an nginx, and
# the certificate alone into those of the others.

sub trp_cert {
    my ($t, @others) = @_;
    my $dir = $t->testdir();

    _openssl(qw/ req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
            -days 3650 -subj /,
        '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-out', "$dir/localhost.crt", '-keyout', "$dir/localhost.key");

    for my $other (@others) {
        my $file = $other->testdir() . '/localhost.crt';
        copy("$dir/localhost.crt", $file) or die "can't write $file: $!\n";
    }
}


# Writes NAME.crt and NAME.key of a certificate authority.

sub trp_ca {
    my ($t, $name) = @_;
    my $file = $t->testdir() . "/$name";

    _openssl(qw/ req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
            -days 3650 -addext /,
        'keyUsage=critical,keyCertSign,cRLSign', '-subj', "/CN=$name",
        '-out', "$file.crt", '-keyout', "$file.key");
}


# Writes NAME.crt, signed by an authority of the same directory, and NAME.key.
# Options: names, "DNS:localhost" by default; password of the key; authority,
# may issue others; for, the name of another authority, which gets a second
# certificate for its key.

sub trp_issue {
    my ($t, $ca, $name, %opts) = @_;
    my $dir = $t->testdir();
    my $password = $opts{password};
    my $for = $opts{for};

    my @key = $for ? ('-key', "$dir/$for.key")
        : (qw/ -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout /,
            "$dir/$name.key");

    my @kind = $for || $opts{authority}
        ? ('-addext', 'keyUsage=critical,keyCertSign,cRLSign')
        : ('-addext', 'basicConstraints=critical,CA:FALSE', '-addext',
            'subjectAltName=' . ($opts{names} || 'DNS:localhost'));

    _openssl(qw/ req -x509 -days 3650 /, @key, @kind,
        defined $password ? ('-passout', "pass:$password") : '-nodes',
        '-CA', "$dir/$ca.crt", '-CAkey', "$dir/$ca.key",
        '-subj', '/CN=' . ($for || $name), '-out', "$dir/$name.crt");
}


# Writes NAME.crl of an authority, in which the certificates of these names
# are revoked.

sub trp_crl {
    my ($t, $ca, @names) = @_;
    my $dir = $t->testdir();

    $t->write_file("$ca.index", '');
    $t->write_file("$ca.conf", "[ca]\ndefault_ca = own\n[own]\n"
        . "database = $dir/$ca.index\ndefault_md = sha256\n"
        . "default_crl_days = 30\n");

    my @ca = (qw/ ca -config /, "$dir/$ca.conf", '-cert', "$dir/$ca.crt",
        '-keyfile', "$dir/$ca.key");

    _openssl(@ca, '-revoke', "$dir/$_.crt") for @names;
    _openssl(@ca, qw/ -gencrl -out /, "$dir/$ca.crl");
}


# Writes an Ed25519 private key for each name into the directory of an nginx.
# Returns the lines for authorized_keys.

sub trp_keys {
    my ($t, @names) = @_;
    my @lines;

    for my $name (@names) {
        my $file = $t->testdir() . "/$name";

        _openssl(qw/ genpkey -algorithm ed25519 -out /, $file);
        chmod 0600, $file;

        # the last 32 bytes of the DER form are the key itself

        my $der = _openssl(qw/ pkey -pubout -outform DER -in /, $file);
        my $blob = pack 'N/a N/a', 'ssh-ed25519', substr($der, -32);

        push @lines, 'ssh-ed25519 ' . encode_base64($blob, '') . " $name";
    }

    return wantarray ? @lines : $lines[0];
}


sub _openssl {
    my @args = @_;

    my $pid = open my $fh, '-|';
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>', '/dev/null';
        exec 'openssl', @args or POSIX::_exit(127);
    }

    binmode $fh;
    my $output = do { local $/; <$fh> };
    close $fh or die "openssl $args[0] has failed\n";

    return $output;
}


# waiting for events

# Returns what the code returns as soon as that is true.

sub wait_for {
    my ($code, $timeout) = @_;
    my $deadline = time() + ($timeout || TIMEOUT);

    while (1) {
        my $result = $code->();
        return $result if $result || time() >= $deadline;
        sleep 0.02;
    }
}


# Waits for a line in a log; options: count, file, timeout.

sub wait_log {
    my ($t, $re, %opts) = @_;
    my $file = $t->testdir() . '/' . ($opts{file} || 'error.log');
    my $left = $opts{count} || 1;
    my ($fh, $line) = (undef, '');

    return wait_for(sub {
        if (!$fh) {
            open my $new, '<', $file or return 0;
            $fh = $new;
        }

        seek $fh, 0, 1;

        while (defined(my $part = <$fh>)) {
            $line .= $part;
            next if $part !~ /\n\z/;
            return 1 if $line =~ $re && --$left <= 0;
            $line = '';
        }

        return 0;
    }, $opts{timeout});
}


# the number of lines that match

sub count_log {
    my ($t, $re, %opts) = @_;

    open my $fh, '<', $t->testdir() . '/' . ($opts{file} || 'error.log')
        or return 0;

    return scalar grep { /$re/ } <$fh>;
}


# Reloads, and returns when other workers are there; the old ones may still
# be busy with their connections.

sub reload_and_wait {
    my ($t) = @_;
    my %old = map { $_ => 1 } worker_pids($t);

    $t->reload();

    return wait_for(sub {
        my @pids = worker_pids($t);
        return @pids == keys %old && !grep { $old{$_} } @pids;
    });
}


# servers

# serve($t, port, kind, options) starts a server; it listens on return.
#
#     echo     sends back what it gets and, after the client's FIN, a digest
#     discard  sends only the digest
#     send     sends "data" and closes; what it gets is lost
#     half     sends "data" and FIN, then reads until the end
#     hello    sends "data" first, then echoes
#     reset    resets the connection after "after" bytes (0)
#     sink     reads nothing at all
#     later    reads nothing until a file "until" of the directory is there,
#              then everything; sends the digest
#     flood    sends for ever, or "bytes" bytes, and waits for the end of what
#              it gets and discards
#
# The digest is a line, "BYTES SHA256"; digest => 0 leaves it out.  With
# record => NAME each connection leaves a line in that file of the test's
# directory when it ends: "BYTES SHA256 eof" or "BYTES SHA256 reset".
# Reset and sink record nothing.

my %handlers = (
    echo => \&_serve_echo,
    discard => \&_serve_echo,
    send => \&_serve_send,
    half => \&_serve_half,
    hello => \&_serve_echo,
    reset => \&_serve_reset,
    sink => \&_serve_sink,
    later => \&_serve_later,
    flood => \&_serve_flood,
);


sub serve {
    my ($t, $port, $kind, %opts) = @_;

    return serve_on($t, listener($port), $kind, %opts);
}


sub listener {
    my ($port) = @_;

    return IO::Socket::INET->new(
        Proto => 'tcp',
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
        Listen => 1024,
        ReuseAddr => 1,
    ) || die "can't listen on $port: $!\n";
}


# a connection that comes to a listening socket; dies if none does

sub accepted {
    my ($listener) = @_;

    return IO::Select->new($listener)->can_read(10) && $listener->accept()
        || die "the destination was not asked\n";
}


# serve() with a listening socket of the caller's making

sub serve_on {
    my ($t, $listener, $kind, %opts) = @_;
    my $handler = $handlers{$kind} or die "no server \"$kind\"\n";

    $opts{data} = "hello\n" if !defined $opts{data};
    $opts{kind} = $kind;

    $opts{$_} = $t->testdir() . "/$opts{$_}"
        for grep { $opts{$_} } qw/ record until /;

    $t->run_daemon(\&_accept, $listener, $handler, \%opts);
    close $listener;

    return $t;
}


# a port that answers nobody: its queue is full

sub full_listener {
    my ($port, $addr) = @_;
    $addr ||= '127.0.0.1';

    my @all = IO::Socket::INET->new(Proto => 'tcp', LocalPort => $port,
        LocalAddr => $addr, Listen => 1, ReuseAddr => 1)
        or die "can't listen on $port: $!\n";

    for (1 .. 20) {
        my $s = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0,
            PeerAddr => "$addr:$port") or last;

        push @all, $s;
        last if !IO::Select->new($s)->can_write(0.5);
    }

    return \@all;
}


# the records of a server, without the newlines

sub served {
    my ($t, $name) = @_;

    open my $fh, '<', $t->testdir() . "/$name" or return;
    chomp(my @lines = <$fh>);
    return @lines;
}


sub _accept {
    my ($listener, $handler, $opts) = @_;

    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub {
        local $SIG{TERM} = 'IGNORE';
        kill 'TERM', -$$;
        POSIX::_exit(0);
    };

    while (1) {
        my $s = $listener->accept() or next;
        my $pid = fork();
        die "can't fork: $!\n" if !defined $pid;
        next if $pid;

        $SIG{TERM} = 'DEFAULT';
        close $listener;
        binmode $s;
        $handler->($s, $opts);
        POSIX::_exit(0);
    }
}


sub _serve_echo {
    my ($s, $opts) = @_;

    _send($s, $opts->{data}) if $opts->{kind} eq 'hello';

    my ($line, $end) = _receive($s, sub {
        _send($s, $_[0]) if $opts->{kind} ne 'discard';
    });

    _record($opts, "$line $end");

    _send($s, "$line\n") if $end eq 'eof'
        && (defined $opts->{digest} ? $opts->{digest}
        : $opts->{kind} ne 'hello');
}


sub _serve_send {
    my ($s, $opts) = @_;
    _send($s, $opts->{data});
    shutdown $s, SHUT_WR;

    # closing with unread input would be a reset

    my ($line, $end) = _receive($s);
    _record($opts, "$line $end");
}


sub _serve_half {
    goto &_serve_send;
}


sub _serve_reset {
    my ($s, $opts) = @_;
    my $left = $opts->{after} || 0;

    while ($left > 0) {
        my $n = sysread($s, my $data, $left);
        last if !$n;
        $left -= $n;
    }

    abort($s);
}


sub _serve_sink {
    my ($s) = @_;
    sleep 3600 while 1;
}


sub _serve_later {
    my ($s, $opts) = @_;

    wait_for(sub { -e $opts->{until} }, 3600);

    my ($line, $end) = _receive($s);
    _record($opts, "$line $end");
    _send($s, "$line\n") if $end eq 'eof';
}


# An error is told once, to the reader or to the writer; EPIPE: a FIN before it.

sub _serve_flood {
    my ($s, $opts) = @_;
    my $sha = Digest::SHA->new(256);
    my $bytes = 0;
    my $left = $opts->{bytes};
    my $data = _noise(1);
    my $select = IO::Select->new($s);
    my $end;

    $s->blocking(0);

    while (!$end) {
        my $writing = !defined $left || $left > 0;
        my ($r) = IO::Select->select($select, $writing ? $select : undef);
        my ($n, $in);

        if (@$r) {
            $n = sysread($s, $in, CHUNK);
            $end = 'eof' if defined $n && $n == 0;

        } else {
            $n = syswrite $s, $data;
            $left -= $n if defined $left && $n;
        }

        if (!defined $n) {
            next if _again();
            $end = $! == EPIPE ? 'eof' : 'reset';

        } elsif (@$r) {
            $sha->add($in);
            $bytes += $n;
        }
    }

    _record($opts, "$bytes " . $sha->hexdigest() . " $end");
}


sub _send {
    my ($s, $data) = @_;

    while (length $data) {
        my $n = syswrite $s, $data;
        next if !defined $n && $! == EINTR;
        return 0 if !$n;
        substr $data, 0, $n, '';
    }

    return 1;
}


sub _receive {
    my ($s, $consumer) = @_;
    my $sha = Digest::SHA->new(256);
    my $bytes = 0;

    while (1) {
        my $n = sysread($s, my $data, CHUNK);
        next if !defined $n && $! == EINTR;

        return ("$bytes " . $sha->hexdigest(), defined $n ? 'eof' : 'reset')
            if !$n;

        $sha->add($data);
        $bytes += $n;
        $consumer->($data) if $consumer;
    }
}


sub _record {
    my ($opts, $line) = @_;

    return if !$opts->{record};
    open my $fh, '>>', $opts->{record} or die "can't record: $!\n";
    syswrite $fh, "$line\n";
}


# clients

# Without a timeout, which would make a connection that is reset at once fail
# to connect.

sub connect_to {
    my ($port) = @_;

    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => "127.0.0.1:$port",
    ) or die "can't connect to $port: $!\n";

    $s->autoflush(1);
    return $s;
}


# Writes until nobody takes any more, or "bytes" bytes; returns how many it
# were, or undef after an error, which is then not seen by reading any more.
# The bytes are those of noise(), from the offset on.

sub fill {
    my ($s, $bytes, $offset) = @_;
    my $select = IO::Select->new($s);
    my $block = _noise(1);
    my $sent = 0;

    local $SIG{PIPE} = 'IGNORE';
    $s->blocking(0);

    while ((!defined $bytes || $sent < $bytes) && $select->can_write(0.5)) {
        my $pos = (($offset || 0) + $sent) % length $block;
        my $n = length($block) - $pos;
        $n = $bytes - $sent if defined $bytes && $n > $bytes - $sent;

        $n = syswrite $s, $block, $n, $pos;
        return undef if !defined $n && !_again();
        $sent += $n || 0;
    }

    return $sent;
}


sub noise {
    my ($bytes) = @_;
    my $block = _noise(1);
    return substr $block x (1 + int $bytes / length $block), 0, $bytes;
}


# Sends "bytes" bytes that look random, reads until the end at the same time.
# The first "bytes" bytes that come back are the echo, what follows is the
# tail.  Returns a hash:
#
#     sent sent_sha received received_sha tail end
#
# and the end is eof, reset, timeout (nothing moved for so long) or open.
# Options: seed; fin => 0 sends no FIN, and stops when the echo is complete;
# timeout.

sub transfer {
    my ($s, $bytes, %opts) = @_;
    my $timeout = $opts{timeout} || TIMEOUT;
    my $fin = !defined $opts{fin} || $opts{fin};
    my $block = _noise($opts{seed} || 1);
    my ($out_sha, $in_sha) = map { Digest::SHA->new(256) } 1, 2;
    my ($sent, $received, $queue, $tail, $end) = (0, 0, '', '', 'open');

    $s = $s->socket() if ref $s eq 'Test::Nginx::Stream';

    local $SIG{PIPE} = 'IGNORE';
    $s->blocking(0);
    shutdown $s, SHUT_WR if $fin && $bytes == 0;

    while ($fin || $received < $bytes) {
        my $writing = $sent < $bytes;
        my ($r, $w) = IO::Select->select(IO::Select->new($s),
            $writing ? IO::Select->new($s) : undef, undef, $timeout);

        if (!$r) {
            $end = 'timeout';
            last;
        }

        if (@$w) {
            if ($queue eq '') {
                my $n = $bytes - $sent;
                $n = length $block if $n > length $block;
                $queue = substr $block, 0, $n;
                $out_sha->add($queue);
            }

            my $n = syswrite $s, $queue;

            if (defined $n) {
                substr $queue, 0, $n, '';
                $sent += $n;
                shutdown $s, SHUT_WR if $fin && $sent == $bytes;

            } elsif (!_again()) {
                $end = 'reset';
                last;
            }
        }

        if (@$r) {
            my $n = sysread($s, my $data, CHUNK);
            next if !defined $n && _again();

            if (!$n) {
                $end = defined $n ? 'eof' : 'reset';
                last;
            }

            my $echo = $bytes - $received;
            $tail .= substr $data, $echo, length $data, '' if $n > $echo;
            $in_sha->add($data);
            $received += length $data;
        }
    }

    return {
        sent => $sent,
        sent_sha => $out_sha->hexdigest(),
        received => $received,
        received_sha => $in_sha->hexdigest(),
        tail => $tail,
        end => $end,
    };
}


# One user of an echo server: true if he has got all of his bytes back, the
# digest and a clean end.  Options: bytes; from, the address that he has;
# timeout.

sub visit {
    my ($port, %opts) = @_;
    my $bytes = $opts{bytes} || 100;

    my $s = IO::Socket::INET->new(
        Proto => 'tcp',
        PeerAddr => "127.0.0.1:$port",
        LocalAddr => $opts{from},
    ) or return 0;

    my $result = transfer($s, $bytes, timeout => $opts{timeout});

    return $result->{end} eq 'eof'
        && $result->{received_sha} eq $result->{sent_sha}
        && $result->{tail} eq "$bytes $result->{sent_sha}\n" ? 1 : 0;
}


# not a power of two, so that no buffer size hides a misplaced block

sub _noise {
    my ($seed) = @_;
    return substr join('', map { Digest::SHA::sha512("$seed $_") } 0 .. 1023),
        0, 65521;
}


sub _again {
    return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
}


# Reads until the end: "eof", "reset", or "timeout" if nothing comes.

sub end_of {
    return (drain(@_))[2];
}


# the same, returns bytes, digest and end

sub drain {
    my ($s, $timeout) = @_;
    my $sha = Digest::SHA->new(256);
    my ($bytes, $end) = (0, 'timeout');
    my $select = IO::Select->new(
        $s = ref $s eq 'Test::Nginx::Stream' ? $s->socket() : $s);

    $s->blocking(0);

    while ($select->can_read($timeout || TIMEOUT)) {
        my $n = sysread($s, my $data, CHUNK);
        next if !defined $n && _again();

        if (!$n) {
            $end = defined $n ? 'eof'
                : $! == ECONNRESET || $! == EPIPE ? 'reset' : "error: $!";
            last;
        }

        $sha->add($data);
        $bytes += $n;
    }

    return ($bytes, $sha->hexdigest(), $end);
}


sub reset_of {
    return end_of(@_) eq 'reset' ? 1 : 0;
}


# closes with a reset

sub abort {
    my ($s) = @_;

    $s = $s->socket() if ref $s eq 'Test::Nginx::Stream';
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    close $s;
}


# the first bytes of a TLS client with these ALPN protocols

sub client_hello {
    my (@protocols) = @_;

    require Net::SSLeay;
    Net::SSLeay::initialize();

    my $ctx = Net::SSLeay::CTX_new() or die "no TLS context\n";
    Net::SSLeay::CTX_set_alpn_protos($ctx, \@protocols) if @protocols;

    my $ssl = Net::SSLeay::new($ctx);
    my ($in, $out) = map { Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()) }
        1, 2;

    Net::SSLeay::set_bio($ssl, $in, $out);
    Net::SSLeay::connect($ssl);
    my $hello = Net::SSLeay::BIO_read($out, 16384);

    Net::SSLeay::free($ssl);
    Net::SSLeay::CTX_free($ctx);
    Net::SSLeay::ERR_clear_error();

    return $hello;
}


# What "nginx -t" says about nginx.conf.  A report of a sanitizer is all that
# is left then.

sub nginx_test {
    my ($t) = @_;
    my $dir = $t->testdir();

    my $pid = open my $fh, '-|';
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec $Test::Nginx::NGINX, '-t', '-p', "$dir/", '-c', 'nginx.conf',
            '-e', 'error.log' or POSIX::_exit(127);
    }

    my $output = do { local $/; <$fh> };
    close $fh;

    return $output =~ /^(.*(?:Sanitizer|runtime error:).*)$/m ? $1 : $output;
}


# a look at processes

sub nginx_pid {
    my ($t) = @_;
    return $t->read_file('nginx.pid') =~ /^(\d+)/ ? $1 : undef;
}


# the workers that accept connections; the second argument, a regex for the
# process title, selects others, the third is another master

sub worker_pids {
    my ($t, $title, $master) = @_;

    $master = nginx_pid($t) if !defined $master;

    $title = qr/worker process$/ if !defined $title;

    return grep { _parent($_) == $master && _title($_) =~ $title }
        map { m!(\d+)$! } glob '/proc/[0-9]*';
}


sub _parent {
    return _proc($_[0], 'stat') =~ /.*\) \S (\d+)/s ? $1 : 0;
}


sub _title {

    # valgrind hides the title from the kernel
    return 'worker process' if $ENV{TRP_VALGRIND};

    my $title = _proc($_[0], 'cmdline');
    $title =~ s/[\0 ]+$//;
    return $title;
}


sub _proc {
    my ($pid, $name) = @_;

    open my $fh, '<', "/proc/$pid/$name" or return '';
    local $/;
    my $text = <$fh>;
    return defined $text ? $text : '';
}


# open descriptors of the processes

sub fd_count {
    my $count = 0;

    for my $pid (@_) {
        opendir my $dir, "/proc/$pid/fd" or next;
        $count += grep { /^\d+$/ } readdir $dir;
    }

    return $count;
}


# Private memory of the processes that they have written to, in KiB.  Clean
# pages are those of libraries: they become private when some other process
# ends that has used the same.

sub private_memory {
    my $total = 0;

    for my $pid (@_) {
        my $text = _proc($pid, 'smaps_rollup');
        $total += $1 while $text =~ /^Private_Dirty: +(\d+)/mg;
    }

    return $total;
}


# What they have allocated, in KiB, whether it is shared after fork() or not:
# the measure for a master.

sub anon_memory {
    my $total = 0;

    for my $pid (@_) {
        $total += $1 if _proc($pid, 'status') =~ /^RssAnon:\s+(\d+)/m;
    }

    return $total;
}


# CPU time of the processes so far, in hundredths of a second

sub cpu_time {
    my $total = 0;

    for my $pid (@_) {
        my (undef, $rest) = split /\) /, _proc($pid, 'stat'), 2;
        my @fields = split / /, $rest || '';
        $total += $fields[11] + $fields[12] if @fields > 12;
    }

    return 100 * $total / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}


# sockets on a local port that are in a state

sub tcp_count {
    my ($port, $state) = @_;
    my %states = (
        ESTABLISHED => 1, SYN_SENT => 2, FIN_WAIT1 => 4, FIN_WAIT2 => 5,
        TIME_WAIT => 6, CLOSE_WAIT => 8, LAST_ACK => 9, LISTEN => 10,
    );
    my $re = sprintf '^ *\d+: [0-9A-F]+:%04X \S+ %02X ', $port,
        $states{$state || 'ESTABLISHED'};

    return scalar grep { /$re/ }
        map { split /\n/, _proc('net', $_) } qw/ tcp tcp6 /;
}


# connections to a port that it has not answered

sub dialling {
    my ($port) = @_;

    my $re = sprintf '^ *\d+: \S+ \S+:%04X 02 ', $port;

    return scalar grep { /$re/ } split /\n/, _proc('net', 'tcp');
}


1;
