package Test::Nginx::TRP::Fault;

# The fault matrix: what users see, in each state of their connections, when
# a fault hits one of the four roles.
#
# fault_test() starts relay, entry, reverse and a destination once for each
# role, with users in all the states:
#
#     idle      has had an answer, says nothing until the fault is over
#     held      waits for the destination, which does not answer yet
#     new       comes when the fault is there
#     transfer  sends and gets an echo
#     first     has sent all and FIN, has half of the answer
#     last      has the answer and FIN, has not yet sent all
#
# Then the fault happens, and it is checked that each user has got everything,
# or a reset; that the destination has seen the same; that new users are
# served; that all tunnels are idle, and descriptors are as before.

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex /;
use Exporter qw/ import /;
use FindBin;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw/
    AF_UNIX IPPROTO_TCP PF_UNSPEC SHUT_WR SOCK_STREAM SOL_SOCKET SO_KEEPALIVE
    SO_LINGER TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_NODELAY
/;
use Test::More;
use Time::HiRes qw/ sleep stat time /;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Processes qw/ text_of /;
use Test::Nginx::TRP::Transfer qw/ again /;

our @EXPORT = qw/ fault_network fault_test /;

use constant {
    TUNNELS => 10,
    PATIENCE => 90,
    HEALING => 60,
    CHUNK => 65536,
};

my @roles = qw/ entry relay reverse destination /;

# where the users come to the relay itself: what is hit, and its name

my %hub_roles = (
    relay => 'hub',
    reverse => "hub's reverse",
    destination => "hub's destination",
);

my @states = (
    [ 'idle', 'idle' ],
    [ 'opening', 'held', 'new' ],
    [ 'in transfer', 'transfer' ],
    [ 'half-closed', 'first', 'last' ],
);

my %users = (
    idle => \&_user_idle,
    held => \&_user_new,
    new => \&_user_new,
    transfer => \&_user_transfer,
    first => \&_user_first,
    last => \&_user_last,
);

# ports of a group of three nginx, see new()

my %offset = (
    relay_entry => 0, relay_reverse => 1, user => 2, user_held => 3,
    main => 4, held => 5, proxy_entry => 6, proxy_reverse => 7,
    proxy_main => 8,
);

my %stopped;

END { kill 'CONT', keys %stopped }


# Packets can be dropped only in the test's own network.

sub fault_network {
    if ($ENV{TRP_FAULT_NETWORK}) {
        my $error = qx/ip link set lo up 2>&1/
            . qx/nft add table inet fault 2>&1/;
        plan(skip_all => "no packet filter: $error") if $error;
        return;
    }

    for my $command ('unshare -n true', 'ip -V', 'nft -v') {
        my $error = qx/($command) 2>&1 >\/dev\/null/;
        plan(skip_all => "no network namespace: $error") if $?;
    }

    $ENV{TRP_FAULT_NETWORK} = 1;
    exec 'unshare', '-n', '--', $^X, (map { "-I$_" } @INC),
        "$FindBin::Bin/$FindBin::Script", @ARGV
        or die "can't run unshare: $!\n";
}


# Options:
#
#     begin    sub that makes the fault for an object of this class
#     over     sub that ends it
#     time     seconds in between; without it, until no user is left
#     act      when idle users send again: "over" (default) or "during"
#     go_on    when half-closed ones do: "during" (default) or "over"
#     bytes    what idle and new users send then; others send more
#     proxy    true: tunnels and connections to the destination go through
#              a proxy, see proxy()
#     release  when destinations answer users that are held, by role
#     heartbeat, open_timeout, connect_timeout, proxy_timeout
#     alerts   regex of alerts in the error.log that are expected
#     expect   what users see: "ok" or "abort"; by default, either is good

sub fault_test {
    my ($name, %opts) = @_;
    my $n = 0;
    my @all = map { __PACKAGE__->new($_, $n++, %opts) } @roles;
    push @all, map { __PACKAGE__->new($_, $n++, %opts, hub => 1) }
        grep { $hub_roles{$_} } @roles;
    my @nginx = map { values %{$_->{nginx}} } @all;

    $_->start() for @all;

    $nginx[0]->plan(@all * (@states + 3 + ($opts{alerts} ? 1 : 0))
        + 2 * (@nginx - 1));

    $_->settle() for @all;
    $_->users(qw/ idle held transfer first last /) for @all;
    $_->wait_ready() for @all;

    for my $f (@all) {
        $opts{begin}->($f);
        $f->mark('during');
        $f->users('new');
    }

    if (defined $opts{time}) {
        sleep $opts{time};
    } else {
        # a user that got FIN sees a reset when it sends

        $_->wait_users($_->{go_on} eq 'over' ? 'last' : undef) for @all;
    }

    for my $f (@all) {
        $opts{over}->($f) if $opts{over};
        $f->mark('over');
    }

    $_->wait_users() for @all;
    $_->restart_destination() for @all;
    $_->check() for @all;

    _table($name, @all);
}


sub new {
    my ($class, $role, $n, %opts) = @_;

    my $self = bless {
        role => $role,
        base => 8000 + 20 * $n,
        bytes => 20_000,
        act => 'over',
        go_on => 'during',
        heartbeat => '500ms',
        open_timeout => '6s',
        connect_timeout => '10s',
        proxy_timeout => '10s',
        %opts,
    }, $class;

    $self->{label} = $self->{hub} ? $hub_roles{$role} : $role;

    for my $name (qw/ relay reverse /, $self->{hub} ? () : 'entry') {
        my $t = Test::Nginx->new()->has(qw/ stream stream_ssl /);
        $t->todo_alerts() if $opts{alerts} && $name eq $role;
        $self->{nginx}{$name} = $t;
    }

    $self->{dir} = $self->{nginx}{reverse}->testdir();

    return $self;
}


sub port_of {
    my ($self, $name) = @_;
    return port($self->{base} + $offset{$name});
}


# the same name in a configuration

sub _conf_port {
    my ($self, $name) = @_;
    return sprintf '%%%%PORT_%d%%%%', $self->{base} + $offset{$name};
}


sub start {
    my ($self) = @_;
    my ($relay, $entry, $reverse) = @{$self->{nginx}}{
        qw/ relay entry reverse /};
    my %port = map { $_ => $self->_conf_port($_) } keys %offset;
    my $tunnels = TUNNELS;
    my ($to_entry, $to_reverse, $to_main) = map { $port{$_} } $self->{proxy}
        ? qw/ proxy_entry proxy_reverse proxy_main /
        : qw/ relay_entry relay_reverse main /;

    my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

EOC

    my $server = <<"EOC";
    server {
        trp_route $port{user}:$to_main bind=127.0.0.1;
        trp_route $port{user_held}:$port{held} bind=127.0.0.1;

        proxy_timeout $self->{proxy_timeout};
        proxy_half_close on;
        proxy_pass relay;
    }
EOC

    my $users = !$self->{hub} ? '' : <<"EOC";
    upstream relay {
        trp_entry local;
        trp_entry_open_timeout $self->{open_timeout};
    }

$server
EOC

    $relay->write_file_expand('nginx.conf', $head . <<"EOC");
stream {
    %%TEST_GLOBALS_STREAM%%

$users
    server {
        listen 127.0.0.1:$port{relay_entry} ssl;
        listen 127.0.0.1:$port{relay_reverse} ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
        trp_relay_auth_timeout 3s;
        trp_relay_open_timeout $self->{open_timeout};
        trp_relay_heartbeat $self->{heartbeat};
    }
}

EOC

    $entry && $entry->write_file_expand('nginx.conf', $head . <<"EOC");
stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:$to_entry;

        trp_entry;
        trp_entry_key entry;
        trp_entry_pool idle=$tunnels max=$tunnels;
        trp_entry_connect_timeout 3s;
        trp_entry_open_timeout $self->{open_timeout};
        trp_entry_heartbeat $self->{heartbeat};
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

$server
}

EOC

    $reverse->write_file_expand('nginx.conf', $head . <<"EOC");
stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server 127.0.0.1:$to_reverse;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_pool idle=$tunnels max=$tunnels;
        trp_reverse_connect_timeout 3s;
        trp_reverse_heartbeat $self->{heartbeat};
        trp_reverse_ssl_trusted_certificate localhost.crt;

        proxy_connect_timeout $self->{connect_timeout};
        proxy_timeout $self->{proxy_timeout};
        proxy_half_close on;
        proxy_pass \$trp_destination;
    }
}

EOC

    trp_cert($relay, $entry || (), $reverse);
    $relay->write_file('authorized_keys', join "\n",
        $entry ? trp_keys($entry, 'entry') : (),
        trp_keys($reverse, 'reverse'));

    $self->_start_proxy() if $self->{proxy};
    $self->_start_destination('main');
    $self->_start_destination('held');

    $_->run() for $relay, $reverse, $entry || ();
}


# the state that everything returns to: all tunnels, no users

sub settle {
    my ($self) = @_;

    my @agents = grep { $_ ne 'relay' } keys %{$self->{nginx}};

    wait_log($self->{nginx}{relay}, qr/has a tunnel/,
        count => @agents * TUNNELS);
    wait_log($self->{nginx}{$_}, qr/tunnel is ready/, count => TUNNELS)
        for @agents;

    $self->{before} = $self->descriptors();
}


# open descriptors of the workers

sub descriptors {
    my ($self) = @_;

    return join ', ', map {
        "$_ " . fd_count(worker_pids($self->{nginx}{$_}))
    } sort keys %{$self->{nginx}};
}


# so many users at once have an answer

sub answers {
    my ($self) = @_;
    my @all = map { _connect($self->port_of('user'), 10) } 1 .. TUNNELS;
    my $good = 0;

    $_ && _say($_, "probe 0\nSEE") for @all;
    $_ && _pump($_, 'echo', 3) for @all;
    $_ && _end($_) for @all;
    $_ && _pump($_) for @all;

    return scalar grep { $_ && $_->{end} eq 'eof' && $_->{in} =~ /^SEE3 / }
        @all;
}


sub serves {
    my ($self) = @_;
    my $data = noise(50_000);
    my $u = _connect($self->port_of('user'), 10) or return 0;

    _say($u, "probe 0\n$data");
    _end($u);
    _pump($u);

    return _outcome($u, _echo($data)) eq 'ok';
}


# triggers for other processes are files

sub mark {
    my ($self, $name) = @_;
    $self->{nginx}{reverse}->write_file($name, '');
}


# faults

# the processes of the role that the fault hits; of a destination, groups

sub pids {
    my ($self) = @_;

    return worker_pids($self->{nginx}{$self->{role}})
        if $self->{role} ne 'destination';

    return map { $self->_group($_) } qw/ main held /;
}


sub stop_processes {
    my ($self) = @_;

    for ($self->pids()) {
        $stopped{$_} = 1;
        kill 'STOP', $_;
    }
}


sub continue_processes {
    my ($self) = @_;
    kill 'CONT', keys %stopped;
    %stopped = ();
}


# the role's connections in the packet filter

sub ports {
    my ($self) = @_;
    my %ports = (
        entry => [ 'relay_entry' ],
        relay => [ 'relay_entry', 'relay_reverse' ],
        reverse => [ 'relay_reverse' ],
        destination => [ 'main', 'held' ],
    );

    return map { $self->port_of($_) } @{$ports{$self->{role}}};
}


sub filter {
    my ($self, $rule) = @_;
    my $ports = join ', ', $self->ports();
    my $chain = $self->_chain();

    _run("nft 'add chain $chain { type filter hook input priority 0; }'");
    _run("nft 'add rule $chain tcp $_ { $ports } $rule'") for qw/ dport sport /;
}


sub unfilter {
    my ($self) = @_;
    _run('nft flush chain ' . $self->_chain());
}


sub _chain {
    my ($self) = @_;
    return 'inet fault ' . $self->{label} =~ s/\W+/_/gr;
}


sub _run {
    my ($command) = @_;
    system($command) == 0 or die "\"$command\" has failed\n";
}


# Tells the proxy what to do with the role's connections: pass, trickle,
# reset the existing ones, or mute: there are no more answers on these and
# on new ones, while TCP's acknowledgements go on.

sub proxy {
    my ($self, $mode) = @_;
    my $commands = $self->{commands};

    print $commands "$mode\n";
    readline $commands;
}


# destinations

sub _start_destination {
    my ($self, $name) = @_;
    my $t = $self->{nginx}{reverse};
    my $held = $name eq 'held' && !-e "$self->{dir}/during";
    my $port = $self->port_of($name);

    my $listener = IO::Socket::INET->new(
        Proto => 'tcp',
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
        Listen => $held ? 1 : 100,
        ReuseAddr => 1,
    ) or die "can't listen on $port: $!\n";

    # the SYN of a connection after these is dropped

    connect_to($port) for 1 .. ($held ? 2 : 0);

    unlink "$self->{dir}/$name.pid";
    $t->run_daemon(\&_accept, $listener, $self->{dir}, $name, $self->{go_on},
        !$held ? undef
        : $self->{release} && $self->{release}{$self->{role}} || 'during');
    close $listener;
    $t->waitforfile("$self->{dir}/$name.pid");
}


# destinations that a fault has killed

sub restart_destination {
    my ($self) = @_;

    for my $name (qw/ main held /) {
        $self->_start_destination($name)
            if !tcp_count($self->port_of($name), 'LISTEN');
    }
}


sub kill_destination {
    my ($self, @names) = @_;

    for my $name (@names) {
        my $port = $self->port_of($name);

        kill 'KILL', $self->_group($name);
        wait_for(sub { !tcp_count($port, 'LISTEN') });
    }
}


sub _group {
    my ($self, $name) = @_;
    return -text_of("$self->{dir}/$name.pid");
}


sub _accept {
    my ($listener, $dir, $name, $go_on, $release) = @_;

    setpgrp 0, 0;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    $SIG{TERM} = sub {
        local $SIG{TERM} = 'IGNORE';
        kill 'TERM', -$$;
        POSIX::_exit(0);
    };

    _write("$dir/$name.pid.new", $$);
    rename "$dir/$name.pid.new", "$dir/$name.pid";

    wait_for(sub { -e "$dir/$release" }, 3600) if $release;

    while (1) {
        my $s = $listener->accept() or next;
        my $pid = fork();
        next if $pid;

        $SIG{TERM} = 'DEFAULT';
        close $listener;
        _destination($s, $dir, $go_on);
        POSIX::_exit(0);
    }
}


# What comes first is "NAME BYTES\n".  All that follows is sent back, with a
# digest; to "first", an answer in two halves; to "last", an answer at once.

sub _destination {
    my ($s, $dir, $go_on) = @_;
    my $u = { s => $s, in => '', out => '', deadline => time() + 3600 };

    $s->blocking(0);

    # if the process is killed, or the peer is gone, the end is not clean

    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    setsockopt $s, SOL_SOCKET, SO_KEEPALIVE, 1;
    setsockopt $s, IPPROTO_TCP, $_, 1 for TCP_KEEPIDLE, TCP_KEEPINTVL;
    setsockopt $s, IPPROTO_TCP, TCP_KEEPCNT, 3;

    _pump($u, 'line');
    return if $u->{in} !~ s/^(\w+) (\d+)\n//;

    my ($name, $size) = ($1, $2);
    my $answer = noise($size);

    if ($name eq 'last') {
        _say($u, $answer);
        _end($u);
    }

    if ($name eq 'first' || $name eq 'last') {
        _pump($u);

    } else {
        _pump_echo($u);
    }

    my $line = length($u->{in}) . ' ' . sha256_hex($u->{in});

    open my $fh, '>>', "$dir/record" or die "can't record: $!\n";
    syswrite $fh, sprintf "%s %s %s %.1f\n", $name, $line, $u->{end}, time();

    return if $u->{end} ne 'eof' || $name eq 'last' && !$u->{shut};

    if ($name eq 'first') {
        _say($u, substr $answer, 0, $size / 2, '');
        _pump_out($u);
        wait_for(sub { -e "$dir/$go_on" }, 3600);
        _say($u, $answer);

    } elsif ($name ne 'last') {
        _say($u, "$line\n");
    }

    _pump_out($u) or return;
    setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 0, 0;
}


# users, each is a process

sub users {
    my ($self, @names) = @_;

    for my $name (@names) {
        my $pid = open my $fh, '-|';
        die "can't fork: $!\n" if !defined $pid;

        if ($pid == 0) {
            local $SIG{PIPE} = 'IGNORE';
            STDOUT->autoflush(1);

            my $text = eval { $self->_user($name) };
            print 'result ', defined $text ? $text : "died $@", "\n";
            POSIX::_exit(0);
        }

        $self->{users}{$name} = $fh;
    }
}


sub _user {
    my ($self, $name) = @_;

    my $u = _connect($self->port_of($name eq 'held' ? 'user_held' : 'user'),
        PATIENCE);
    return 'abort 0' if !$u;

    $u->{name} = $name;
    $u->{dir} = $self->{dir};

    my $outcome = $users{$name}->($self, $u);
    my $since = (stat "$self->{dir}/during")[9];

    return sprintf '%s %.1f', $outcome, $since ? time() - $since : 0;
}


sub _ready { print "ready\n" }


sub _user_idle {
    my ($self, $u) = @_;
    my $data = noise($self->{bytes});

    _say($u, "idle 0\nSEE");
    _pump($u, 'echo', 3);
    _ready();

    _pump($u, 'file', "$u->{dir}/$self->{act}");
    _say($u, $data);
    _end($u);
    _pump($u);

    return _outcome($u, _echo("SEE$data"));
}


sub _user_new {
    my ($self, $u) = @_;
    my $data = noise($self->{bytes});

    _say($u, "$u->{name} 0\n$data");
    _end($u);
    _pump($u, 'out') if $u->{name} eq 'held';
    _ready();
    _pump($u);

    return _outcome($u, _echo($data));
}


# slow enough to last until the fault

sub _user_transfer {
    my ($self, $u) = @_;
    my $total = 400 * $self->{bytes};
    my $data = noise($total);
    my $step = $self->{bytes};
    my $pos = 0;

    _say($u, "transfer 0\n");

    while (!$u->{end} && !-e "$u->{dir}/during") {

        if ($u->{out} eq '' && $pos < $total / 2) {
            _say($u, substr $data, $pos, $step);
            $pos += $step;
        }

        _turn($u);
        _ready() if !$u->{told} && length $u->{in} && ++$u->{told};
        sleep 0.01;
    }

    _say($u, substr $data, $pos);
    _end($u);
    _pump($u);

    return _outcome($u, _echo($data));
}


sub _user_first {
    my ($self, $u) = @_;
    my $size = 20 * $self->{bytes};

    _say($u, "first $size\n" . noise($self->{bytes}));
    _end($u);
    _pump($u, 'echo', $size / 2);
    _ready();
    _pump($u);

    return _outcome($u, noise($size));
}


sub _user_last {
    my ($self, $u) = @_;
    my $size = 20 * $self->{bytes};

    _say($u, "last $size\n");
    _pump($u);
    return _outcome($u, noise($size)) if $u->{end} ne 'eof';

    _ready();

    # a reset may come after the end

    wait_for(sub {
        my $n = sysread $u->{s}, my $data, 1;
        $u->{end} = 'reset' if !defined $n && !again();
        return $u->{end} eq 'reset' || -e "$u->{dir}/$self->{go_on}";
    }, PATIENCE) or return 'HANG';

    return 'abort' if $u->{end} eq 'reset';

    delete $u->{end};
    $u->{half} = 1;

    _say($u, noise($size));
    _end($u);
    _pump_out($u);

    return $u->{end} ? 'abort' : 'sent';
}


sub wait_ready {
    my ($self) = @_;

    for my $name (sort keys %{$self->{users}}) {
        my $line = readline $self->{users}{$name};
        die "$self->{label}: user \"$name\" has no connection: $line\n"
            if $line ne "ready\n";
    }

    my $port = $self->port_of('held');
    wait_for(sub { _connecting_to($port) })
        or die "nobody waits for the destination\n";
}


sub wait_users {
    my ($self, $but) = @_;

    for my $name (keys %{$self->{users}}) {
        next if $name eq ($but || '');
        my $fh = delete $self->{users}{$name};

        while (my $line = <$fh>) {
            $self->{seen}{$name} = [ $1, $2 ]
                if $line =~ /^result (\w+) (.*)/;
        }

        close $fh;
    }
}


sub _connecting_to {
    my ($port) = @_;
    my $re = sprintf '^ *\d+: \S+ [0-9A-F]+:%04X 02 ', $port;

    return scalar grep { /$re/ } split /\n/, text_of('/proc/net/tcp');
}


# a connection: bytes to be sent, bytes that came, and how it has ended

sub _connect {
    my ($port, $timeout) = @_;
    my $s = eval { connect_to($port) } or return;

    $s->blocking(0);
    return { s => $s, in => '', out => '', deadline => time() + $timeout };
}


sub _say {
    my ($u, $data) = @_;
    $u->{out} .= $data;
}


sub _end {
    my ($u) = @_;
    $u->{fin} = 1;
}


# Writes and reads until the end, or until there is something else: "echo", so
# many bytes; "line"; "file"; "out", nothing more to write.

sub _pump {
    my ($u, $what, $arg) = @_;

    while (!$u->{end}) {
        return if $what && ($what eq 'echo' ? length $u->{in} >= $arg
            : $what eq 'line' ? $u->{in} =~ /\n/
            : $what eq 'file' ? -e $arg : _is_out($u));

        _turn($u);
    }
}


sub _pump_out {
    my ($u) = @_;
    my $end = delete $u->{end};

    $u->{half} = 1;
    _turn($u) until _is_out($u) || $u->{end};
    return 0 if $u->{end};

    $u->{end} = $end;
    return 1;
}


sub _is_out {
    my ($u) = @_;
    return $u->{out} eq '' && (!$u->{fin} || $u->{shut});
}


sub _pump_echo {
    my ($u) = @_;
    my $done = 0;

    while (!$u->{end}) {
        if (length $u->{in} > $done && length $u->{out} < CHUNK) {
            _say($u, substr $u->{in}, $done);
            $done = length $u->{in};
        }

        _turn($u);
    }

    _say($u, substr $u->{in}, $done);
}


sub _turn {
    my ($u) = @_;
    my $s = $u->{s};
    my $writing = $u->{out} ne '' || $u->{fin} && !$u->{shut};
    my $reading = !$u->{half} && length $u->{out} < 10 * CHUNK;

    if (time() >= $u->{deadline}) {
        $u->{end} = 'timeout';
        return;
    }

    my $select = IO::Select->new($s);
    my ($r, $w) = IO::Select->select($reading ? $select : undef,
        $writing ? $select : undef, undef, 0.02) or return;

    if (@$w) {
        my $n = $u->{out} eq '' ? 0 : syswrite $s, $u->{out}, CHUNK;

        if (defined $n) {
            substr $u->{out}, 0, $n, '';

        } elsif (!again()) {
            $u->{end} = 'reset';
            return;
        }

        if ($u->{fin} && $u->{out} eq '' && !$u->{shut}) {
            shutdown $s, SHUT_WR;
            $u->{shut} = 1;
        }
    }

    if (@$r) {
        my $n = sysread $s, $u->{in}, CHUNK, length $u->{in};
        return if !defined $n && again();
        $u->{end} = defined $n ? 'eof' : 'reset' if !$n;
    }
}


sub _echo {
    my ($data) = @_;
    return $data . length($data) . ' ' . sha256_hex($data) . "\n";
}


# what a user has seen, given what the user should get

sub _outcome {
    my ($u, $expected) = @_;

    return 'WRONG' if substr($expected, 0, length $u->{in}) ne $u->{in};
    return 'HANG' if $u->{end} eq 'timeout';
    return 'abort' if $u->{end} eq 'reset';
    return $u->{in} eq $expected ? 'ok' : 'CUT';
}


# checks

sub check {
    my ($self) = @_;
    my $role = $self->{label};
    my $expect = $self->{expect}{$role} || $self->{expect}{$self->{role}};

    my $healed = wait_for(sub { $self->serves() }, HEALING);

    for (@states) {
        my ($state, @names) = @$_;
        my (@got, @want);

        for my $name (@names) {
            my $got = $self->_checked($name);
            my $want = $expect->{$name} || 'ok|abort';

            push @got, $got;
            push @want, $got =~ /^(?:$want)\z/ ? $got : $want;

            $self->{cells}{$state} = $self->{cells}{$state}
                ? "$self->{cells}{$state}, " . $self->_cell($name, $got)
                : $self->_cell($name, $got);
        }

        is("@got", "@want", "$role, $state");
    }

    ok($healed, "$role, healed");

    my $answers;
    wait_for(sub { ($answers = $self->answers()) == TUNNELS }, HEALING);
    is($answers, TUNNELS, "$role, tunnels");

    my $now;
    wait_for(sub {
        $now = join ', ', $self->descriptors(), $self->_connections();
        return $now eq "$self->{before}, 0";
    }, HEALING);
    is($now, "$self->{before}, 0", "$role, descriptors");

    if ($self->{alerts}) {
        is(join('', map { _alerts($_, $self->{alerts}) }
            values %{$self->{nginx}}), '', "$role, alerts");
    }
}


# the destination must have seen the same, and once

sub _checked {
    my ($self, $name) = @_;
    my $got = $self->{seen}{$name} ? $self->{seen}{$name}[0] : 'DIED';
    my %sent = (
        idle => 3 + $self->{bytes},
        held => $self->{bytes},
        new => $self->{bytes},
        transfer => 400 * $self->{bytes},
        first => $self->{bytes},
        last => 20 * $self->{bytes},
    );

    my @ends = map { [ split ] } grep { /^$name / }
        split /^/, $self->_records($name, $got);

    return 'CUT_AT_DESTINATION'
        if grep { $_->[3] eq 'eof' && $_->[1] != $sent{$name} } @ends;

    return 'TWICE' if 1 < grep { $_->[1] } @ends;

    return $got if $got ne 'sent';
    return 'ok' if @ends && $ends[0][3] eq 'eof';

    # only the destination knows the time

    $self->{seen}{$name}[1]
        = @ends ? $ends[0][4] - (stat "$self->{dir}/during")[9] : 0;

    return 'abort';
}


sub _records {
    my ($self, $name, $got) = @_;
    my $file = "$self->{dir}/record";

    # a user who has sent everything knows no more

    wait_for(sub {
        return text_of($file) =~ /^$name /m || !$self->_connections();
    }) if $got eq 'sent';

    return text_of($file);
}


# of the destination

sub _connections {
    my ($self) = @_;
    my $count = 0;

    for my $port (map { $self->port_of($_) } qw/ main held /) {
        $count += tcp_count($port, $_) for qw/ ESTABLISHED CLOSE_WAIT /;
    }

    return $count;
}


sub _alerts {
    my ($t, $expected) = @_;

    return join '', map { "$_\n" } grep { /\[alert\]/ && $_ !~ $expected }
        split /\n/, $t->read_file('error.log');
}


# the results, for t/fault/table

sub _cell {
    my ($self, $name, $got) = @_;
    my $seconds = $self->{seen}{$name} ? $self->{seen}{$name}[1] : 0;

    return $got if $got ne 'abort';
    return $seconds < 1 ? 'abort' : sprintf 'abort (%d s)', $seconds + 0.5;
}


sub _table {
    my ($name, @all) = @_;
    my $dir = $ENV{TRP_FAULT_TABLE} or return;
    my $text = '';

    for my $f (@all) {
        $text .= join("\t", $name, $f->{label}, $_->[0],
            $f->{cells}{$_->[0]}) . "\n" for @states;
    }

    my ($file) = $0 =~ m!([^/]+)\.t$!;
    _write("$dir/$file.tsv", $text);
}


# the proxy

sub _start_proxy {
    my ($self) = @_;
    my $role = $self->{role};

    socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "can't make a socketpair: $!\n";
    $_->autoflush(1) for $ours, $theirs;

    # the side of the role is the one that does not answer

    my %side = $role eq 'destination' ? (main => 1)
        : $role eq 'relay' ? (entry => 1, reverse => 1) : ($role => 0);

    delete $side{entry} if $self->{hub};

    my %links = (
        entry => 'relay_entry', reverse => 'relay_reverse', main => 'main',
    );

    my @links = map { {
        listener => listener($self->port_of("proxy_$_")),
        port => $self->port_of($links{$_}),
        side => $side{$_},
        half => $_ eq 'main',
        mode => 'pass',
    } } grep { $_ ne 'entry' || !$self->{hub} } sort keys %links;

    $self->{nginx}{reverse}->run_daemon(\&_proxy, $theirs, @links);
    close $_->{listener} for @links;
    $self->{commands} = $ours;
}


sub _proxy {
    my ($commands, @links) = @_;
    my $select = IO::Select->new($commands, map { $_->{listener} } @links);
    my %links = map { $_->{listener} => $_ } @links;
    my %ends;

    $SIG{PIPE} = 'IGNORE';

    while (1) {
        my $writing = IO::Select->new(
            map { $_->{s} } grep { $_->{out} ne '' } values %ends);
        my ($r, $w) = IO::Select->select($select,
            $writing->count() ? $writing : undef);

        for my $s (@{$w || []}) {
            _proxy_write($ends{$s}, \%ends, $select) if $ends{$s};
        }

        for my $s (@{$r || []}) {
            if ($s == $commands) {
                sysread $s, my $mode, 100 or return;
                chomp $mode;
                _proxy_mode($mode, [ grep { defined $_->{side} } @links ],
                    \%ends, $select);
                syswrite $s, "ok\n";

            } elsif ($links{$s}) {
                _proxy_accept($links{$s}, \%ends, $select);

            } elsif ($ends{$s}) {
                _proxy_read($ends{$s}, \%ends, $select);
            }
        }
    }
}


sub _proxy_mode {
    my ($mode, $links, $ends, $select) = @_;

    for my $link (@$links) {
        $link->{mode} = $mode eq 'reset' ? 'pass' : $mode;

        my @own = grep { $_->{link} == $link } values %$ends;

        for my $end (@own) {
            _proxy_abort($end, $ends, $select) if $mode eq 'reset';
            $end->{mute} = 1 if $mode eq 'mute';
        }
    }
}


sub _proxy_accept {
    my ($link, $ends, $select) = @_;
    my $client = $link->{listener}->accept() or return;
    my $mute = $link->{mode} eq 'mute';
    my $server = IO::Socket::INET->new("127.0.0.1:$link->{port}");

    if (!$server) {
        abort($client);
        return;
    }

    my @pair = map { { link => $link, s => $_, out => '', mute => $mute } }
        $client, $server;

    for my $i (0, 1) {
        my $end = $pair[$i];

        $end->{side} = $i;
        $end->{other} = $pair[1 - $i];
        $end->{s}->blocking(0);
        setsockopt $end->{s}, IPPROTO_TCP, TCP_NODELAY, 1;

        $ends->{$end->{s}} = $end;
        $select->add($end->{s});
    }
}


sub _proxy_read {
    my ($end, $ends, $select) = @_;
    my $other = $end->{other};
    my $n = sysread $end->{s}, my $data, CHUNK;

    return if !defined $n && again();

    if ($end->{mute}) {
        return if $n;

        # the side that does not answer learns that the other one has given up,
        # and not the other way round

        my $healthy = $end->{side} != $end->{link}{side};

        # a FIN to the destination is not the end of the other direction

        if (defined $n && $end->{link}{half}) {
            $select->remove($end->{s});
        } else {
            _proxy_close($end, $ends, $select);
        }

        $other->{other} = {};
        _proxy_abort($other, $ends, $select) if $healthy;

    } elsif (!defined $n) {
        _proxy_abort($end, $ends, $select);

    } else {
        $other->{out} .= $data;
        $other->{fin} = 1 if $n == 0;

        # reads no more before that is written

        $select->remove($end->{s});
        _proxy_write($other, $ends, $select) if $n == 0;
    }
}


sub _proxy_write {
    my ($end, $ends, $select) = @_;
    my $other = $end->{other};
    my $size = $end->{link}{mode} eq 'trickle' ? 1 : length $end->{out};

    if ($end->{mute}) {
        $end->{out} = '';

    } elsif ($end->{out} ne '') {
        my $n = syswrite $end->{s}, $end->{out}, $size;

        if (defined $n) {
            substr $end->{out}, 0, $n, '';

        } elsif (!again()) {
            _proxy_abort($end, $ends, $select);
            return;
        }
    }

    return if $end->{out} ne '';

    if (!$end->{fin} || $end->{mute}) {
        $select->add($other->{s}) if $ends->{$other->{s}};
        return;
    }

    shutdown $end->{s}, SHUT_WR;
    $end->{shut} = 1;

    if ($other->{shut}) {
        _proxy_close($_, $ends, $select) for $end, $other;
    }
}


sub _proxy_close {
    my ($end, $ends, $select) = @_;

    return if !delete $ends->{$end->{s}};
    $select->remove($end->{s});
    close $end->{s};
}


sub _proxy_abort {
    my ($end, $ends, $select) = @_;

    for my $x ($end, $end->{other}) {
        next if !$x->{s} || !$ends->{$x->{s}};
        setsockopt $x->{s}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        _proxy_close($x, $ends, $select);
    }
}


sub _write {
    my ($file, $text) = @_;

    open my $fh, '>', $file or die "can't write $file: $!\n";
    print $fh $text;
    close $fh;
}


1;
