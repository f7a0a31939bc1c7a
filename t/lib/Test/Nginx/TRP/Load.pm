package Test::Nginx::TRP::Load;

# Load in other processes, with checked contents, while a test does something
# else.
#
#     my $load = Test::Nginx::TRP::Load->new($t);
#     $load->serve(port(8081));
#     $load->start(port(8080), 'short', 4, pause => 0.015);
#     my $now = $load->counts();
#     my $result = $load->stop();
#
# Both return a hash: connections, failures, bytes; and from stop() texts, a
# line for each failure.  After that it may start again.
#
# Kinds of clients, each does the same again and again until the load stops:
#
#     short  a request of 1 to 20,000 bytes and its answer; FIN after every
#            second request
#     up     sends for "seconds" (until the load stops), then compares digests
#     down   the same in the other direction, after FIN
#     talk   a line and its echo, after a pause, for "seconds"
#     idle   nothing between its first line and its last one
#     half   the server sends FIN at once, the client sends after that
#     abort  a transfer that the client resets
#
# An object of Test::Nginx is needed for testdir() and run_daemon() only.

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex /;
use Errno qw/ EINTR /;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ SHUT_WR SOL_SOCKET SO_RCVTIMEO SO_SNDTIMEO /;
use Time::HiRes qw/ sleep time /;

use Test::Nginx::TRP::Processes qw/ text_of /;
use Test::Nginx::TRP::Servers qw/ listener /;
use Test::Nginx::TRP::Transfer qw/ abort connect_to noise /;
use Test::Nginx::TRP::Waiting qw/ wait_for /;

use constant {
    TIMEOUT => 30,
    CHUNK => 65536,
    ACCEPTORS => 4,
    TAIL => 20 + 1 + 64 + 1,
};

my %clients = (
    short => \&_short,
    up => \&_up,
    down => \&_down,
    talk => \&_talk,
    idle => \&_idle,
    half => \&_half,
    abort => \&_abort,
);

my %servers = (
    answer => \&_serve_answer,
    take => \&_serve_take,
    give => \&_serve_give,
    talk => \&_serve_talk,
    half => \&_serve_half,
);


sub new {
    my ($class, $t) = @_;
    my $dir = $t->testdir();

    return bless { t => $t, dir => $dir, clients => 0 }, $class;
}


sub start {
    my ($self, $port, $kind, $count, %opts) = @_;
    my $code = $clients{$kind} or die "no client \"$kind\"\n";

    for (1 .. $count) {
        $opts{number} = ++$self->{clients};
        $opts{dir} = $self->{dir};
        $opts{kind} = $kind;
        $opts{port} = $port;

        $self->{t}->run_daemon(\&_client, $code, { %opts });
    }

    return $self;
}


# the counts as of about a second ago

sub counts {
    my ($self) = @_;
    my %sum = (connections => 0, failures => 0, bytes => 0);

    for my $file (grep { /\d$/ } glob "$self->{dir}/load.count.*") {
        my ($connections, $failures, $bytes) = split ' ', text_of($file);
        next if !defined $bytes;
        $sum{connections} += $connections;
        $sum{failures} += $failures;
        $sum{bytes} += $bytes;
    }

    # of the servers
    $sum{failures} += ()
        = text_of("$self->{dir}/load.failures") =~ /^server /mg;

    return \%sum;
}


# the clients finish what they do

sub stop {
    my ($self) = @_;

    _write("$self->{dir}/load.stop", '');

    my $left = sub {
        my @done = grep { /\d$/ } glob "$self->{dir}/load.done.*";
        return $self->{clients} - @done;
    };

    wait_for(sub { !$left->() }, 120);

    my $result = $self->counts();
    $result->{failures} += $left->();
    $result->{texts} = text_of("$self->{dir}/load.failures");

    unlink glob "$self->{dir}/load.*";
    $self->{clients} = 0;

    return $result;
}


sub serve {
    my ($self, $port) = @_;
    my $listener = listener($port);

    $self->{t}->run_daemon(\&_acceptor, $listener, $self->{dir})
        for 1 .. ACCEPTORS;
    close $listener;

    return $self;
}


# clients

sub _client {
    my ($code, $opts) = @_;
    my ($next, $stop) = (0, 0);

    $SIG{PIPE} = 'IGNORE';
    srand $opts->{number};

    $opts->{parent} = getppid;

    my $count = $opts->{count} = { map { $_ => 0 } qw/ connections failures
        bytes / };
    my $report = $opts->{report} = sub {
        return if !$_[0] && time() < $next;
        $next = time() + 1;
        _write("$opts->{dir}/load.count.$opts->{number}", join ' ',
            @$count{qw/ connections failures bytes /});
    };

    until (_stopping($opts)) {
        my $s;
        my $start = time();

        $count->{connections}++;

        if (!eval { $code->($s = _connect($opts), $opts); 1 }) {
            $count->{failures}++;
            _failed($opts->{dir}, sprintf 'client %s, %s, %s, %.2f s: %s',
                $opts->{kind}, _time($start), $s ? 'from ' . $s->sockport()
                : '', time() - $start, $@);
        }

        close $s if $s && defined fileno $s;
        $report->();
        sleep $opts->{pause} || 0.005;
    }

    $report->(1);
    _write("$opts->{dir}/load.done.$opts->{number}", '');
}


sub _connect {
    my ($opts) = @_;
    my $s = connect_to($opts->{port});

    $s->blocking(1);
    setsockopt $s, SOL_SOCKET, $_, pack 'l! l!', TIMEOUT, 0
        for SO_RCVTIMEO, SO_SNDTIMEO;

    return $s;
}


sub _stopping {
    my ($opts) = @_;
    return -e "$opts->{dir}/load.stop" || getppid != $opts->{parent};
}


# a part of the load is over

sub _enough {
    my ($start, $opts) = @_;

    return _stopping($opts)
        || $opts->{seconds} && time() - $start >= $opts->{seconds};
}


sub _short {
    my ($s, $opts) = @_;
    my $bytes = 1 + int rand 20000;
    my $data = _data($bytes);

    _send($s, "answer $bytes\n$data");
    shutdown $s, SHUT_WR if $opts->{count}{connections} % 2;

    my $answer = _receive($s);
    die 'wrong answer of ' . length($answer) . " bytes to $bytes\n"
        if $answer ne sha256_hex($data) . "\n" . scalar reverse $data;

    $opts->{count}{bytes} += 2 * $bytes;
}


sub _up {
    my ($s, $opts) = @_;
    my ($sha, $start, $sent) = (Digest::SHA->new(256), time(), 0);
    my $data = _data(CHUNK - 1);

    _send($s, "take\n");

    until ($sent && _enough($start, $opts)) {
        _send($s, $data);
        $sha->add($data);
        $sent += length $data;
        $opts->{count}{bytes} += length $data;
        $opts->{report}->();
        sleep $opts->{pace} || 0.02;
    }

    shutdown $s, SHUT_WR;

    my ($got, $want) = (_receive($s), _tail($sent, $sha));
    die "sent $want, the server has $got\n" if $got ne $want;
}


sub _down {
    my ($s, $opts) = @_;
    my ($sha, $start, $all, $tail) = (Digest::SHA->new(256), time(), 0, '');
    my $stopped;

    _send($s, "give\n");

    while (1) {
        my $n = sysread $s, $tail, CHUNK, length $tail;
        next if !defined $n && $! == EINTR;
        die 'after ' . ($all + length $tail) . " bytes: $!\n" if !defined $n;
        last if !$n;

        $opts->{count}{bytes} += $n;
        $opts->{report}->();

        if (length $tail > TAIL) {
            my $data = substr $tail, 0, length($tail) - TAIL, '';
            $all += length $data;
            $sha->add($data);
        }

        next if $stopped;

        if (_enough($start, $opts)) {
            shutdown $s, SHUT_WR;
            $stopped = 1;
            next;
        }

        sleep $opts->{pace} || 0.02;
    }

    my $want = _tail($all, $sha);
    die "got $want, the server has sent $tail\n" if $tail ne $want || !$stopped;
}


sub _talk {
    my ($s, $opts) = @_;
    my ($start, $number) = (time(), 0);

    _send($s, "talk\n");

    do {
        my $line = "line $$ " . ++$number . "\n";
        _send($s, $line);
        my $answer = _line($s);
        die "answer to $line is $answer\n" if $answer ne $line;
        $opts->{count}{bytes} += 2 * length $line;
        $opts->{report}->();
        sleep $opts->{pace} || 0.05;
    } until _enough($start, $opts);

    shutdown $s, SHUT_WR;
    die "more than wanted\n" if _receive($s) ne '';
}


sub _idle {
    my ($s, $opts) = @_;
    my $start = time();

    _send($s, "talk\nfirst\n");
    die "no first answer\n" if _line($s) ne "first\n";
    $opts->{report}->(1);

    until (_enough($start, $opts)) {
        die "something in between\n" if IO::Select->new($s)->can_read(0.2);
    }

    _send($s, "last\n");
    die "no last answer\n" if _line($s) ne "last\n";
    shutdown $s, SHUT_WR;
    die "more than wanted\n" if _receive($s) ne '';
}


# the server reports what is wrong

sub _half {
    my ($s, $opts) = @_;
    my $data = _data(1 + int rand 100_000);

    _send($s, 'half ' . length($data) . ' ' . sha256_hex($data) . "\n");
    my $answer = _receive($s);
    die "answer is $answer\n" if $answer ne "half\n";

    _send($s, $data);
    $opts->{count}{bytes} += length $data;
}


sub _abort {
    my ($s, $opts) = @_;

    if (int rand 2) {
        _send($s, "take\n" . _data(1 + int rand 100_000));
    } else {
        _send($s, "give\n");
        sysread $s, my $data, CHUNK;
    }

    abort($s);
}


# servers

sub _acceptor {
    my ($listener, $dir) = @_;

    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub {
        local $SIG{TERM} = 'IGNORE';
        kill 'TERM', -$$;
        POSIX::_exit(0);
    };

    my $parent = getppid;
    my $select = IO::Select->new($listener);

    $listener->blocking(0);

    # another process may have accepted it, and the test may have been killed

    while (getppid == $parent) {
        $select->can_read(5) or next;
        my $s = $listener->accept() or next;
        $s->blocking(1);

        my ($kind, @args) = split ' ', eval { _line($s) } || '';

        if (!$kind || !$servers{$kind}) {
            close $s;
            next;
        }

        # the other kinds last longer

        if ($kind ne 'answer') {
            my $pid = fork();
            die "can't fork: $!\n" if !defined $pid;

            if ($pid) {
                close $s;
                next;
            }

            $SIG{TERM} = 'DEFAULT';
            close $listener;
        }

        # the client reports an abort

        eval { $servers{$kind}->($s, @args); 1 }
            or $@ !~ /^wrong/ or _failed($dir, 'server, ' . _time() . ": $@");

        POSIX::_exit(0) if $kind ne 'answer';
        close $s;
    }
}


sub _serve_answer {
    my ($s, $bytes) = @_;
    my $data = _exactly($s, $bytes);
    _send($s, sha256_hex($data) . "\n" . scalar reverse $data);
}


sub _serve_take {
    my ($s) = @_;
    my ($sha, $bytes) = (Digest::SHA->new(256), 0);

    _receive($s, sub { $sha->add($_[0]); $bytes += length $_[0] });
    _send($s, _tail($bytes, $sha));
}


sub _serve_give {
    my ($s) = @_;
    my ($sha, $bytes) = (Digest::SHA->new(256), 0);
    my $data = _data(CHUNK - 1);
    my $select = IO::Select->new($s);

    until ($select->can_read(0)) {
        _send($s, $data);
        $sha->add($data);
        $bytes += length $data;
    }

    die "wrong end\n" if _receive($s) ne '';
    _send($s, _tail($bytes, $sha));
}


sub _serve_talk {
    my ($s) = @_;

    while (defined(my $line = _line($s))) {
        _send($s, $line);
    }
}


sub _serve_half {
    my ($s, $bytes, $sha) = @_;

    _send($s, "half\n");
    shutdown $s, SHUT_WR;

    my $data = eval { _receive($s) };
    die 'wrong data after FIN, ' . (defined $data ? length $data : $@)
        . " of $bytes\n" if !defined $data || sha256_hex($data) ne $sha;
}


# both

sub _send {
    my ($s, $data) = @_;
    my $pos = 0;

    while ($pos < length $data) {
        my $n = syswrite $s, $data, length($data) - $pos, $pos;
        next if !defined $n && $! == EINTR;
        die "can't send: $!\n" if !defined $n;
        $pos += $n;
    }
}


# everything until FIN

sub _receive {
    my ($s, $consumer) = @_;
    my $all = '';

    while (1) {
        my $n = sysread $s, $all, CHUNK, length $all;
        next if !defined $n && $! == EINTR;
        die 'after ' . length($all) . " bytes: $!\n" if !defined $n;
        return $all if !$n;
        next if !$consumer;
        $consumer->($all);
        $all = '';
    }
}


sub _exactly {
    my ($s, $bytes) = @_;
    my $all = '';

    while (length $all < $bytes) {
        my $n = sysread $s, $all, $bytes - length $all, length $all;
        next if !defined $n && $! == EINTR;
        die 'after ' . length($all) . ' bytes: ' . (defined $n ? 'end' : $!)
            . "\n" if !$n;
    }

    return $all;
}


# reads a line byte by byte, and not beyond it; undef at the end

sub _line {
    my ($s) = @_;
    my $line = '';

    while ($line !~ /\n\z/) {
        my $n = sysread $s, $line, 1, length $line;
        next if !defined $n && $! == EINTR;
        die "no line: $!\n" if !defined $n;
        return undef if !$n;
    }

    return $line;
}


# bytes that differ each time

my $noise;

sub _data {
    my ($bytes) = @_;

    $noise = noise(2 * CHUNK) x 2 if !defined $noise;
    return substr $noise, rand 2 * CHUNK, $bytes;
}


sub _tail {
    my ($bytes, $sha) = @_;
    return sprintf "%020d %s\n", $bytes, $sha->clone()->hexdigest();
}


# files

sub _failed {
    my ($dir, $text) = @_;

    chomp $text;
    open my $fh, '>>', "$dir/load.failures" or die "can't write: $!\n";
    syswrite $fh, "$text\n";
}


sub _write {
    my ($file, $text) = @_;

    open my $fh, '>', "$file.new" or die "can't create $file: $!\n";
    print $fh $text;
    close $fh;
    rename "$file.new", $file or die "can't rename $file: $!\n";
}


# as in error.log

sub _time {
    my $now = @_ ? $_[0] : time();
    return POSIX::strftime('%H:%M:%S', localtime $now)
        . substr sprintf('%.3f', $now - int $now), 1;
}


1;
