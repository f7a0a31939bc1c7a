package Test::Nginx::TRP::Portal;

# A portal for tests: a WebSocket server that speaks as a Phoenix channel.
#
#     my $portal = Test::Nginx::TRP::Portal->new($t, port(8081));
#     $portal->behave(join => 'error');      for the next connections
#     $portal->event('account_added', { account_id => $id });
#     $portal->wait(qr/phx_join/);           in what has arrived
#     $portal->stop(); $portal->start();
#
# With ssl => NAME it has NAME.crt and NAME.key of the test's directory.  How
# it behaves, and what it does without being told to:
#
#     http       a status instead of 101; "headers" go with it, and after
#                "times" answers it is 101 again
#     accept     the value of Sec-WebSocket-Accept
#     join       "ok"; "error", for a "reason"; undef: no reply
#     init       the payload after a good reply, {}; undef: none
#     heartbeat  1; 0: no reply
#     mute       1: nothing at all is answered, not even TLS
#
# credentials() makes user name and password as the portal would, with the
# secret of the last join: expires, in an hour; salt; account, for the second
# form of them.
#
# What arrives, and the begin and end of connections, are lines in the file
# "portal.log" of the test's directory, which begin with the number of the
# connection:
#
#     3 open
#     3 request GET /relay/websocket?port=3478 HTTP/1.1
#     3 header X-Authorization: Bearer token
#     3 text {"topic":"relay","event":"phx_join",...
#     3 pong, 3 ping, 3 close 1001, 3 end
#
# With name => NAME, other files are used, for a second portal.

use strict;
use warnings;

use Digest::SHA qw/ sha1_base64 sha256_base64 /;
use IO::Select;
use IO::Socket::SSL;
use JSON::PP;
use POSIX ();
use Time::HiRes qw/ sleep time /;

use Test::Nginx::TRP::Servers qw/ listener /;
use Test::Nginx::TRP::Waiting qw/ count_log wait_for wait_log /;

use constant GUID => '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

my %default = (join => 'ok', init => {}, heartbeat => 1);

my $json = JSON::PP->new()->utf8()->canonical();


sub new {
    my ($class, $t, $port, %opts) = @_;
    my $name = $opts{name} || 'portal';

    my $self = bless {
        t => $t,
        port => $port,
        ssl => $opts{ssl},
        log => "$name.log",
        file => $t->testdir() . "/$name",
        behaviour => { %default },
    }, $class;

    delete @opts{qw/ ssl name /};

    $t->write_file($self->{log}, '');
    $t->write_file("$name.do", '');
    $self->behave(%opts);
    $self->start();

    return $self;
}


sub start {
    my ($self) = @_;
    my $listener = listener($self->{port});

    $self->{t}->run_daemon(\&_run, $self, $listener);
    close $listener;

    wait_for(sub { -s "$self->{file}.pid" }) or die "portal does not start\n";
}


# this resets all its connections

sub stop {
    my ($self) = @_;
    my $file = "$self->{file}.pid";

    open my $fh, '<', $file or return;
    my $pid = <$fh>;

    kill 'TERM', $pid;
    unlink $file;

    wait_for(sub {
        !IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}");
    }) or die "portal does not end\n";
}


sub behave {
    my ($self, %new) = @_;
    my $behaviour = $self->{behaviour};

    %$behaviour = (%$behaviour, %new);

    open my $fh, '>', "$self->{file}.new" or die "can't write: $!\n";
    print $fh $json->encode($behaviour);
    close $fh;

    rename "$self->{file}.new", "$self->{file}.behaviour"
        or die "can't rename: $!\n";
    unlink "$self->{file}.times";
}


# orders to all connections that are open now

sub event {
    my ($self, $event, $payload) = @_;

    $self->text($json->encode({ topic => 'relay', event => $event,
        payload => $payload || {}, ref => undef }));
}


sub text { $_[0]->_do("text $_[1]") }
sub close { $_[0]->_do('close ' . ($_[1] || 1000)) }
sub drop { $_[0]->_do('drop') }
sub ping { $_[0]->_do('ping ' . ($_[1] || 'hello')) }

# any bytes, in hex

sub raw { $_[0]->_do('raw ' . unpack('H*', $_[1])) }


sub _do {
    my ($self, $line) = @_;

    open my $fh, '>>', "$self->{file}.do" or die "can't write: $!\n";
    syswrite $fh, "$line\n";
    CORE::close $fh;
}


# waits until the log has "count" (1) lines that match

sub wait {
    my ($self, $re, %opts) = @_;
    return wait_log($self->{t}, $re, %opts, file => $self->{log});
}


sub count {
    my ($self, $re) = @_;
    return count_log($self->{t}, $re, file => $self->{log});
}


# the decoded texts that match

sub texts {
    my ($self, $re) = @_;

    return map { /$re/ && /^\d+ text (.*)/ ? $json->decode($1) : () }
        split /\n/, $self->{t}->read_file($self->{log});
}


# the secret of the last join

sub secret {
    my ($self) = @_;
    my @joins = $self->texts(qr/phx_join/);

    return @joins ? $joins[-1]->{payload}->{stamp_secret} : '';
}


sub credentials {
    my ($self, %opts) = @_;
    my $secret = defined $opts{secret} ? $opts{secret} : $self->secret();
    my $salt = defined $opts{salt} ? $opts{salt} : 'n23JJ2wKKtt30oXi';
    my $expires = defined $opts{expires} ? $opts{expires}
        : int(time()) + 3600;

    if (!defined $opts{account}) {
        return (user => "$expires:$salt",
            password => sha256_base64("$expires:$secret:$salt"));
    }

    my $user = join ':', $expires, sha256_base64($opts{account}), $salt;

    return (user => $user, password => sha256_base64("$user:$secret"));
}


# the server

sub _run {
    my ($self, $listener) = @_;
    my $number = 0;

    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub {
        local $SIG{TERM} = 'IGNORE';
        kill 'TERM', -$$;
        POSIX::_exit(0);
    };

    _write("$self->{file}.pid", $$);

    while (1) {
        my $s = $listener->accept() or next;

        $number++;
        my $pid = fork();
        die "can't fork: $!\n" if !defined $pid;
        next if $pid;

        $SIG{TERM} = 'DEFAULT';
        CORE::close $listener;
        $self->{number} = $number;
        $self->_serve($s);
        POSIX::_exit(0);
    }
}


sub _write {
    my ($file, $text) = @_;

    open my $fh, '>', "$file.tmp" or die "can't write $file: $!\n";
    print $fh $text;
    CORE::close $fh;
    rename "$file.tmp", $file or die "can't write $file: $!\n";
}


sub _behaviour {
    my ($self) = @_;

    open my $fh, '<', "$self->{file}.behaviour" or return { %default };
    local $/;
    return $json->decode(scalar <$fh>);
}


sub _log {
    my ($self, $line) = @_;

    open my $fh, '>>', "$self->{file}.log" or return;
    syswrite $fh, "$self->{number} $line\n";
}


sub _serve {
    my ($self, $s) = @_;

    $self->_log('open');

    # earlier orders are not for this connection

    open my $do, '<', "$self->{file}.do" or die "can't read: $!\n";
    seek $do, 0, 2;

    if ($self->_behaviour()->{mute}) {
        1 while sysread $s, my $data, 4096;

    } elsif (($s = $self->_tls($s)) && $self->_upgrade($s)) {
        $self->_frames($s, $do);
    }

    $self->_log('end');
}


sub _tls {
    my ($self, $s) = @_;

    return $s if !$self->{ssl};

    my ($dir) = $self->{file} =~ m!(.*)/!;

    my $tls = IO::Socket::SSL->start_SSL($s, SSL_server => 1,
        SSL_cert_file => "$dir/$self->{ssl}.crt",
        SSL_key_file => "$dir/$self->{ssl}.key");

    $self->_log("failed $IO::Socket::SSL::SSL_ERROR") if !$tls;
    return $tls;
}


sub _upgrade {
    my ($self, $s) = @_;
    my $head = '';

    while ($head !~ /\r\n\r\n\z/) {
        sysread($s, $head, 1, length $head) or return;
    }

    my ($request, @headers) = split /\r\n/, $head;
    my %header = map { /^([^:]+): *(.*)/ ? (lc $1 => $2) : () } @headers;

    my $behaviour = $self->_behaviour();
    my $status = $self->_status($behaviour);
    my @answer = map { "$_\r\n" } @{$behaviour->{headers} || []};

    $self->_log("header $_") for @headers;
    $self->_log("request $request");

    if ($status != 101) {
        _send($s, join '', "HTTP/1.1 $status No\r\n", @answer,
            "Content-Length: 0\r\nConnection: close\r\n\r\n");

        # a FIN rather than a reset, which could overtake the answer

        shutdown $s, 1 if !$self->{ssl};
        1 while sysread $s, my $data, 4096;
        return;
    }

    my $accept = sha1_base64(($header{'sec-websocket-key'} || '') . GUID)
        . '=';
    $accept = $behaviour->{accept} if defined $behaviour->{accept};

    _send($s, join '', "HTTP/1.1 101 Switching Protocols\r\n", @answer,
        "connection: Upgrade\r\nupgrade: websocket\r\n",
        "sec-websocket-accept: $accept\r\n\r\n");

    return 1;
}


sub _status {
    my ($self, $behaviour) = @_;
    my $status = $behaviour->{http} or return 101;
    my $times = $behaviour->{times} or return $status;

    open my $fh, '>>', "$self->{file}.times" or die "can't write: $!\n";
    syswrite $fh, '.';

    return -s $fh > $times ? 101 : $status;
}


sub _frames {
    my ($self, $s, $do) = @_;
    my ($select, $buf, $line) = (IO::Select->new($s), '', '');

    while (1) {
        if ($s->can('pending') && $s->pending() || $select->can_read(0.02)) {
            sysread($s, $buf, 65536, length $buf) or return;

            while (defined(my $opcode = _frame(\$buf, \my $data))) {
                $self->_received($s, $opcode, $data) or return;
            }
        }

        seek $do, 0, 1;

        while (defined(my $part = <$do>)) {
            $line .= $part;
            next if $line !~ s/\n\z//;
            $self->_perform($s, $line) or return;
            $line = '';
        }
    }
}


# takes one frame off; those of a client are short, and masked

sub _frame {
    my ($buf, $data) = @_;
    return if length $$buf < 2;

    my ($opcode, $len) = unpack 'C2', $$buf;
    die "the client has not masked a frame\n" if !($len & 0x80);

    my $head = 2;
    $len &= 0x7f;

    if ($len == 126) {
        return if length $$buf < 4;
        $len = unpack 'x2 n', $$buf;
        $head = 4;
    }

    return if length $$buf < $head + 4 + $len;

    my $mask = substr $$buf, $head, 4;
    $$data = substr($$buf, $head + 4, $len)
        ^ substr($mask x ($len / 4 + 1), 0, $len);
    substr $$buf, 0, $head + 4 + $len, '';

    return $opcode & 0x0f;
}


sub _received {
    my ($self, $s, $opcode, $data) = @_;

    if ($opcode == 8) {
        my $code = length $data >= 2 ? unpack 'n', $data : '';
        $self->_log("close $code");
        _send_frame($s, 8, $data);
        return;
    }

    if ($opcode == 9) {
        $self->_log("ping $data");
        return _send_frame($s, 10, $data);
    }

    if ($opcode == 10) {
        $self->_log("pong $data");
        return 1;
    }

    $self->_log("text $data");

    my $message = $json->decode($data);
    my $behaviour = $self->_behaviour();

    if ($message->{event} eq 'heartbeat') {
        return !$behaviour->{heartbeat}
            || $self->_reply($s, $message, 'ok', {});
    }

    return 1 if $message->{event} ne 'phx_join' || !$behaviour->{join};

    if ($behaviour->{join} ne 'ok') {
        return $self->_reply($s, $message, 'error',
            { reason => $behaviour->{reason} || 'no room' });
    }

    $self->_reply($s, $message, 'ok', {}) or return;
    return 1 if !$behaviour->{init};

    return _send_frame($s, 1, $json->encode({ topic => 'relay',
        event => 'init', payload => $behaviour->{init}, ref => undef }));
}


sub _reply {
    my ($self, $s, $message, $status, $response) = @_;

    return _send_frame($s, 1, $json->encode({
        topic => $message->{topic},
        event => 'phx_reply',
        payload => { status => $status, response => $response },
        ref => $message->{ref},
    }));
}


sub _perform {
    my ($self, $s, $line) = @_;
    my ($what, $rest) = split / /, $line, 2;

    return _send_frame($s, 1, $rest) if $what eq 'text';
    return _send_frame($s, 8, pack 'n', $rest) if $what eq 'close';
    return _send_frame($s, 9, $rest) if $what eq 'ping';
    return _send($s, pack 'H*', $rest) if $what eq 'raw';

    return;
}


sub _send_frame {
    my ($s, $opcode, $data) = @_;
    my $len = length $data;

    return _send($s, pack('C', 0x80 | $opcode) . ($len < 126 ? pack('C', $len)
        : $len < 65536 ? pack('C n', 126, $len)
        : pack('C Q>', 127, $len)) . $data);
}


sub _send {
    my ($s, $data) = @_;

    while (length $data) {
        my $n = syswrite $s, $data;
        return if !$n;
        substr $data, 0, $n, '';
    }

    return 1;
}

1;
