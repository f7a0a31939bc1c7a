package Test::Nginx;

# Runs nginx in its own directory, for tests.
#
# A subset of the interface of nginx's own test library, so that the same
# tests also run with that one:  prove -I /path/to/nginx-tests/lib -r t/
#
#     TEST_NGINX_BINARY          nginx to run
#     TEST_NGINX_MODULES         where dynamic modules listed by -V are
#     TEST_NGINX_GLOBALS         text for the main level of each nginx.conf
#     TEST_NGINX_GLOBALS_STREAM  text for each stream {}
#     TEST_NGINX_GLOBALS_HTTP    text for each http {}
#     TEST_NGINX_VERBOSE         show what clients send and get
#     TEST_NGINX_CATLOG          show error.log at the end
#     TEST_NGINX_LEAVE           keep the directory

use strict;
use warnings;

use Exporter qw/ import /;
use File::Basename qw/ dirname /;
use File::Path qw/ remove_tree /;
use File::Spec;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use POSIX qw/ SIGKILL SIGTERM WNOHANG /;
use Scalar::Util qw/ weaken /;
use Test::More ();
use Time::HiRes qw/ sleep time /;

our @EXPORT = qw/ port log_in log_out http http_get http_head /;
our @EXPORT_OK = qw/ http_start http_end http_content /;

our $NGINX = $ENV{TEST_NGINX_BINARY} || '../../nginx/objs/nginx';

use constant {
    START_TIMEOUT => 30,
    STOP_TIMEOUT => 60,
    DAEMON_TIMEOUT => 5,
    IO_TIMEOUT => 15,
};

my %ports;
my %objects;
my $version;


# life of an object

sub new {
    my ($class) = @_;

    Test::More::BAIL_OUT("no nginx at \"$NGINX\"") if !-x $NGINX;

    my $self = bless {
        owner => $$,
        dir => tempdir('nginx-test-XXXXXXXXXX', TMPDIR => 1),
        daemons => [],
        faults => [],
    }, $class;

    weaken($objects{$self} = $self);

    # leave no processes behind when interrupted

    for my $name (qw/ INT TERM HUP PIPE /) {
        $SIG{$name} = sub { exit 1 }
            if ($SIG{$name} || 'DEFAULT') eq 'DEFAULT';
    }

    return $self;
}


sub DESTROY {
    my ($self) = @_;
    $self->_finish();
}


# subs that close over an object keep it alive until Test::More has finished

END {
    $_->_finish() for grep { defined } values %objects;
}


sub _finish {
    my ($self) = @_;
    local ($?, $!, $@);

    return if $self->{owner} != $$ || $self->{finished}++;

    delete $objects{$self};

    local @SIG{qw/ INT TERM HUP PIPE /} = ('IGNORE') x 4;

    $self->stop();
    $self->stop_daemons();
    $self->_check_logs() if Test::More->builder->expected_tests();

    Test::More::diag($self->_slurp('error.log')) if $ENV{TEST_NGINX_CATLOG};

    if ($ENV{TEST_NGINX_LEAVE}) {
        Test::More::diag("left in $self->{dir}");
    } else {
        remove_tree($self->{dir}, { error => \my $ignored });
    }
}


sub _check_logs {
    my ($self) = @_;
    my $builder = Test::More->builder;
    my (@alerts, @reports);

    for my $name ('error.log', 'stderr.log') {
        open my $fh, '<', "$self->{dir}/$name" or next;

        while (my $line = <$fh>) {
            push @alerts, $line if $line =~ /\[alert\]/;
            push @reports, $line if $line =~ /Sanitizer|runtime error:/;
        }
    }

    $builder->todo_start('alerts') if $self->{todo_alerts};
    $builder->is_eq(join('', @{$self->{faults}}, @alerts), '', 'no alerts');
    $builder->todo_end() if $self->{todo_alerts};

    $builder->is_eq(join('', @reports), '', 'no sanitizer errors');
}


sub plan {
    my ($self, $tests) = @_;
    Test::More::plan(tests => $tests + 2);
    return $self;
}


sub todo_alerts {
    my ($self) = @_;
    $self->{todo_alerts} = 1;
    return $self;
}


# what this nginx can do

sub has {
    my ($self, @features) = @_;

    for my $feature (@features) {
        next if $self->has_module($feature) || $self->has_feature($feature);
        Test::More::plan(skip_all => "no $feature available");
    }

    return $self;
}


my %optional = map { $_ => 1 } qw/
    http_addition http_auth_request http_dav http_degradation http_flv
    http_geoip http_gunzip http_gzip_static http_image_filter http_mp4
    http_perl http_random_index http_realip http_secure_link http_slice
    http_ssl http_stub_status http_sub http_v2 http_v3 http_xslt
    mail mail_ssl stream stream_geoip stream_realip stream_ssl
    stream_ssl_preread
/;

my %builtin = map { $_ => 1 } qw/
    http_access http_auth_basic http_autoindex http_browser http_charset
    http_empty_gif http_fastcgi http_geo http_grpc http_gzip http_limit_conn
    http_limit_req http_map http_memcached http_mirror http_proxy
    http_referer http_rewrite http_scgi http_split_clients http_ssi
    http_tunnel http_upstream_hash http_upstream_ip_hash
    http_upstream_keepalive http_upstream_least_conn http_upstream_random
    http_upstream_sticky http_upstream_zone http_userid http_uwsgi
    mail_imap mail_pop3 mail_smtp
    stream_access stream_geo stream_limit_conn stream_map stream_pass
    stream_return stream_set stream_split_clients stream_upstream_hash
    stream_upstream_least_conn stream_upstream_random stream_upstream_zone
/;


sub has_module {
    my ($self, $feature) = @_;
    my $args = _version();

    return $args =~ /TLS SNI support enabled/ ? 1 : 0 if $feature eq 'sni';
    return $args !~ /--without-http(?!\S)/ ? 1 : 0 if $feature eq 'http';
    return $args !~ /--without-http-cache/ ? 1 : 0 if $feature eq 'cache';
    return $args !~ /--without-pcre/ ? 1 : 0 if $feature eq 'pcre';

    for my $name ($feature, "http_$feature") {
        if ($optional{$name}) {
            return 1 if $args =~ /--with-${name}(?:_module)?(?!\w)/;
            return _loads($name);
        }

        return $args !~ /--without-${name}_module/ ? 1 : 0 if $builtin{$name};
    }

    return $args =~ $feature ? 1 : 0;
}


sub _loads {
    my ($name) = @_;

    $name = "http_$name" if $name !~ /^(?:http|mail|stream)/;

    return ($ENV{TEST_NGINX_GLOBALS} || '')
        =~ /load_module\s[^;]*\bngx_${name}(?:_filter)?_module\.so\b/ ? 1 : 0;
}


sub has_feature {
    my ($self, $feature) = @_;

    return 1 if $feature =~ /^(?:unix|udp|symlink)$/;
    return eval { require Crypt::Misc; Crypt::Misc->VERSION(0.067); 1 } || 0
        if $feature eq 'cryptx';

    if ($feature =~ /^(openssl|libressl):([\d.]+)/) {
        my ($library, $need) = ($1, $2);
        return 0 if _version() !~ /with \Q$library\E ([\d.]+)/i;
        return _at_least($1, $need);
    }

    my %method = (
        socket_ssl => 'new',
        socket_ssl_sni => 'can_client_sni',
        socket_ssl_alpn => 'can_alpn',
        socket_ssl_sslversion => 'get_sslversion',
        socket_ssl_reused => 'get_session_reused',
    );

    if (my $method = $method{$feature}) {
        return 0 if !eval { require IO::Socket::SSL; 1 };
        return 0 if !IO::Socket::SSL->can($method);
        return IO::Socket::SSL->$method() ? 1 : 0 if $method =~ /^can_/;
        return 1;
    }

    return 0;
}


sub has_version {
    my ($self, $need) = @_;
    return 0 if _version() !~ m!nginx version: \S+?/([\d.]+)!;
    return _at_least($1, $need);
}


sub has_daemon {
    my ($self, $name) = @_;

    Test::More::plan(skip_all => "$name not found")
        if !grep { -x "$_/$name" } File::Spec->path();

    return $self;
}


sub _at_least {
    my @have = split /\./, shift;
    my @need = split /\./, shift;

    while (@need) {
        my $diff = (shift(@have) || 0) <=> shift @need;
        return $diff > 0 ? 1 : 0 if $diff;
    }

    return 1;
}


sub _version {
    $version = qx/"$NGINX" -V 2>&1/ if !defined $version;
    return $version;
}


# running nginx

sub run {
    my ($self, $conf) = @_;

    if (defined $conf) {
        open my $fh, '<', $conf or die "can't open $conf: $!\n";
        local $/;
        $self->write_file_expand('nginx.conf', <$fh>);
    }

    unlink "$self->{dir}/nginx.pid";

    my @command = $self->_command();
    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>>', "$self->{dir}/stderr.log";
        no warnings 'exec';
        exec { $command[0] } @command;
        print STDERR "can't run $NGINX: $!\n";
        POSIX::_exit(127);
    }

    $self->{child} = $pid;

    my $started = _wait(START_TIMEOUT, sub {
        return 1 if $self->_slurp('nginx.pid') =~ /^\d+\n/;
        $self->_reap();
        return !$self->{child};
    });

    if ($started && $self->{child}) {
        $self->{started} = 1;
        return $self;
    }

    if ($self->{child}) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
        delete $self->{child};
    }

    $self->{faults} = [];
    die "nginx has not started:\n" . $self->_slurp('stderr.log');
}


sub try_run {
    my ($self, $message) = @_;

    return $self if eval { $self->run(); 1 };

    log_in('nginx', $@);
    Test::More::plan(skip_all => $message);
}


sub dump_config {
    my ($self) = @_;
    my ($binary, @args) = map { "'$_'" } $self->_command();
    return qx/$binary -T @args 2>&1/;
}


sub reload {
    my ($self) = @_;
    kill 'HUP', $self->_pid() if $self->{started};
    return $self;
}


sub stop {
    my ($self) = @_;

    return $self if !delete $self->{started};

    my $pid = $self->_pid();
    my $gone = sub { $self->_gone($pid) };

    for my $try ([ 'QUIT', STOP_TIMEOUT ], [ 'TERM', 10 ], [ 'KILL', 10 ]) {
        my ($signal, $timeout) = @$try;

        kill $signal, $pid;
        last if _wait($timeout, $gone);

        push @{$self->{faults}},
            "nginx has not stopped on SIG$signal in $timeout s\n";
    }

    # the parent of another master, after an upgrade of the binary

    _wait(STOP_TIMEOUT, sub { $self->_reap(); !$self->{child} });

    kill 'KILL', $self->_orphans() if delete $self->{killed};

    return $self;
}


sub _command {
    my ($self) = @_;
    my @command = ($NGINX, '-p', "$self->{dir}/", '-c', 'nginx.conf',
        '-e', 'error.log');

    push @command, '-g', $self->_own_globals() if !$self->{has_globals};

    return @command;
}


sub _pid {
    my ($self) = @_;
    return $self->_slurp('nginx.pid') =~ /^(\d+)/ ? $1 : $self->{child};
}


sub _gone {
    my ($self, $pid) = @_;

    return 1 if !defined $pid;
    return !kill 0, $pid if $pid != ($self->{child} || 0);

    $self->_reap();
    return !$self->{child};
}


sub _reap {
    my ($self) = @_;
    my $pid = $self->{child} or return;

    return if waitpid($pid, WNOHANG) == 0;

    delete $self->{child};

    # a test may have killed it on purpose

    my $signal = $? & 127;
    $self->{killed} = 1 if $signal;
    return if !$? || $signal == SIGKILL || $signal == SIGTERM;

    push @{$self->{faults}}, 'nginx has ended with '
        . ($signal ? "signal $signal" : 'code ' . ($? >> 8)) . "\n";
}


# the workers of a master that was killed, by their open error.log

sub _orphans {
    my ($self) = @_;
    my @pids;

    for my $path (glob '/proc/[0-9]*') {
        open my $fh, '<', "$path/cmdline" or next;
        next if (readline($fh) || '') !~ /^nginx: /;
        next if !grep { (readlink || '') eq "$self->{dir}/error.log" }
            glob "$path/fd/*";
        push @pids, $path =~ /(\d+)$/;
    }

    return @pids;
}


# helper processes of a test

sub run_daemon {
    my ($self, $code, @args) = @_;

    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;

    if ($pid) {
        push @{$self->{daemons}}, $pid;
        return $self;
    }

    $SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP PIPE /;

    if (ref $code eq 'CODE') {
        my $ok = eval { $code->(@args); 1 };
        print STDERR $@ if !$ok;
        POSIX::_exit($ok ? 0 : 1);
    }

    no warnings 'exec';
    exec { $code } $code, @args;
    print STDERR "can't run $code: $!\n";
    POSIX::_exit(127);
}


sub stop_daemons {
    my ($self) = @_;

    my %left = map { $_ => 1 } splice @{$self->{daemons}};

    for my $signal (qw/ TERM KILL /) {
        kill $signal, keys %left;

        last if _wait(DAEMON_TIMEOUT, sub {
            delete @left{ grep { waitpid($_, WNOHANG) != 0 } keys %left };
            return !%left;
        });
    }

    return $self;
}


sub waitforfile {
    my ($self, $file, $pid) = @_;
    my $exited;

    _wait(START_TIMEOUT, sub {
        $exited = $pid && waitpid($pid, WNOHANG) != 0;
        return -e $file || $exited;
    });

    return -e $file ? 1 : $exited ? 0 : undef;
}


sub waitforsocket {
    my ($self, $peer) = @_;

    return _wait(START_TIMEOUT, sub {
        return !!IO::Socket::INET->new(Proto => 'tcp', PeerAddr => $peer);
    }) ? 1 : undef;
}


sub _wait {
    my ($timeout, $condition) = @_;
    my $deadline = time() + $timeout;

    until ($condition->()) {
        return 0 if time() >= $deadline;
        sleep 0.02;
    }

    return 1;
}


# files

sub testdir {
    my ($self) = @_;
    return $self->{dir};
}


sub read_file {
    my ($self, $name) = @_;

    open my $fh, '<', "$self->{dir}/$name" or die "can't open $name: $!\n";
    local $/;
    return scalar <$fh>;
}


sub _slurp {
    my ($self, $name) = @_;
    return '' if !-e "$self->{dir}/$name";
    my $content = $self->read_file($name);
    return defined $content ? $content : '';
}


sub write_file {
    my ($self, $name, $content) = @_;

    open my $fh, '>:raw', "$self->{dir}/$name"
        or die "can't create $name: $!\n";
    print $fh $content;
    close $fh or die "can't write $name: $!\n";

    return $self;
}


sub write_file_expand {
    my ($self, $name, $content) = @_;

    my %text = (
        TESTDIR => sub { $self->{dir} },
        TEST_GLOBALS => sub { $self->test_globals() },
        TEST_GLOBALS_DSO => \&_globals_dso,
        TEST_GLOBALS_HTTP => sub { $self->test_globals_http() },
        TEST_GLOBALS_STREAM => sub { $self->test_globals_stream() },
    );

    $content =~ s/%%([A-Z_]+)%%/$text{$1} ? $text{$1}->() : $&/ge;

    # in one pass: the result is not a wanted port again

    $content =~ s{%%PORT_(\d+)(_UDP)?%%|(?<=127\.0\.0\.1:)(8\d{3})(?!\d)}
                 {defined $3 ? port($3) : port($1, udp => $2)}ge;

    return $self->write_file($name, $content);
}


sub test_globals {
    my ($self) = @_;
    $self->{has_globals} = 1;
    return join "\n", $self->_own_globals(),
        $ENV{TEST_NGINX_GLOBALS} || '', _globals_dso();
}


sub test_globals_http {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $text = "root $dir;\naccess_log $dir/access.log;\n"
        . "client_body_temp_path $dir/client_body_temp;\n";

    for my $name (qw/ proxy fastcgi uwsgi scgi /) {
        $text .= "${name}_temp_path $dir/${name}_temp;\n"
            if $self->has_module($name);
    }

    return $text . ($ENV{TEST_NGINX_GLOBALS_HTTP} || '');
}


sub test_globals_stream {
    return $ENV{TEST_NGINX_GLOBALS_STREAM} || '';
}


sub _own_globals {
    my ($self) = @_;
    my $dir = $self->{dir};
    return "pid $dir/nginx.pid; error_log $dir/error.log debug;";
}


sub _globals_dso {
    my $dir = File::Spec->rel2abs($ENV{TEST_NGINX_MODULES} || dirname($NGINX));
    my $text = '';

    for my $name (_version() =~ /--with-(\w+)=dynamic/g) {
        $name =~ s/_module$//;

        for my $file ("ngx_${name}_module.so", "ngx_${name}_filter_module.so") {
            $text .= "load_module $dir/$file;\n"
                if -e "$dir/$file" && !_loads($name);
        }
    }

    return $text;
}


# A port number: the wanted one if it is free, or one of the same five
# hundred.  It is reserved against other tests by a socket of the other
# protocol, kept for the life of the process.  With "both" the test itself needs
# that protocol, too, and nothing reserves it: unless it is known already, the
# number is a random one.

sub port {
    my ($wanted, %opts) = @_;

    my $entry = $ports{$wanted} ||= _reserve($wanted, %opts);

    close $entry->{lock} if $opts{both};
    return $opts{socket} ? $entry->{lock} : $entry->{port};
}


sub _reserve {
    my ($wanted, %opts) = @_;
    my $udp = $opts{udp};
    my $base = $wanted - $wanted % 500;

    for my $port ($opts{both} ? () : $wanted,
        map { $base + int rand 500 } 1 .. 50)
    {
        my $lock = _bind($port, $udp ? 'tcp' : 'udp') or next;
        _bind($port, $udp ? 'udp' : 'tcp') or next;
        return { port => $port, lock => $lock };
    }

    die "no free port near $wanted\n";
}


sub _bind {
    my ($port, $proto) = @_;

    return IO::Socket::INET->new(
        Proto => $proto,
        LocalAddr => '127.0.0.1',
        LocalPort => $port,
        $proto eq 'tcp' ? (Listen => 1, ReuseAddr => 1) : (),
    );
}


# a verbose test shows what goes over the wire

sub log_in { log_core('<<', @_) }
sub log_out { log_core('>>', @_) }


sub log_core {
    my $text = pop;

    return if !$ENV{TEST_NGINX_VERBOSE} || !defined $text;

    my $rest = length($text) - 2048;
    $text = substr($text, 0, 2048) . "... and $rest bytes" if $rest > 0;
    $text =~ s/([^\n\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;

    print "# @_ $_\n" for split /\n/, $text;
}


# HTTP client

sub http_get {
    my ($uri, %extra) = @_;
    return http("GET $uri HTTP/1.0\r\nHost: localhost\r\n\r\n", %extra);
}


sub http_head {
    my ($uri, %extra) = @_;
    return http("HEAD $uri HTTP/1.0\r\nHost: localhost\r\n\r\n", %extra);
}


sub http {
    my ($request, %extra) = @_;
    my $socket = http_start($request, %extra);

    return $socket if !$socket || $extra{start};
    return http_end($socket);
}


sub http_start {
    my ($request, %extra) = @_;

    return _in_time(sub {
        my $s = $extra{socket} || IO::Socket::INET->new(
            Proto => 'tcp',
            PeerAddr => $extra{PeerAddr}
                || '127.0.0.1:' . port($extra{SSL} ? 8443 : 8080),
        ) or die "can't connect: $!\n";

        if ($extra{SSL}) {
            require IO::Socket::SSL;
            IO::Socket::SSL->start_SSL($s, SSL_verify_mode => 0, %extra)
                or die IO::Socket::SSL::errstr() . "\n";
        }

        my $send = sub { log_out(@_); $s->print(@_) };

        $send->($request);
        sleep $extra{sleep} if $extra{sleep};
        $send->($extra{body}) if defined $extra{body};

        return $extra{aborted} ? '' : $s;
    });
}


sub http_end {
    my ($s) = @_;

    return _in_time(sub {
        local $/;
        my $reply = $s->getline();
        $s->close();
        log_in($reply);
        return $reply;
    });
}


sub http_content {
    my ($reply) = @_;
    my ($head, $rest) = split /\r?\n\r?\n/, defined $reply ? $reply : '', 2;

    return undef if !defined $rest;
    return $rest if $head !~ /^Transfer-Encoding:.*chunked/mi;

    my $body = '';

    while ($rest =~ s/^\s*([0-9a-f]+)[^\n]*\n//i) {
        my $size = hex $1 or return $body;
        $body .= substr $rest, 0, $size, '';
    }

    return "${body}[truncated]";
}


sub _in_time {
    my ($code) = @_;

    local $SIG{PIPE} = 'IGNORE';
    local $SIG{ALRM} = sub { die "timed out\n" };

    my $result = eval {
        alarm IO_TIMEOUT;
        my $value = $code->();
        alarm 0;
        $value;
    };
    alarm 0;

    log_in('failed:', $@) if $@;
    return $result;
}


1;
