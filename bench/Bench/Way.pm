package Bench::Way;

# The ways from a user to a service, and how each is set up.  All have one
# worker process, or thread, per role unless told otherwise, the same number
# of descriptors, the same certificate (ECDSA P-256), the same ciphers, verify
# the certificate and its name, and resume TLS sessions.  With three hops users
# connect to the entry, with two to the relay; the last hop is the reverse.

use strict;
use warnings;

use IO::Socket::UNIX;
use List::Util qw/ sum0 /;

use Bench;
use Bench::Peer;

my @three = qw/ entry relay reverse /;
my @two = qw/ relay reverse /;

# In the order of the tables: name, title, hops (0: any number is compared with
# it), how it is started, and programs that it needs and that nobody installs.

my @ways = (
    [ direct => 'direct', 0, \&direct ],
    [ stock1 => 'stock nginx, 1 hop, no TLS', 0, \&stock1 ],
    [ stock12 => 'stock nginx, 3 hops, TLS 1.2', 3,
        sub { stock($_[0], 'TLSv1.2', @three) } ],
    [ stock13 => 'stock nginx, 3 hops, TLS 1.3', 3,
        sub { stock($_[0], 'TLSv1.3', @three) } ],
    [ 'stock2-12' => 'stock nginx, 2 hops, TLS 1.2', 2,
        sub { stock($_[0], 'TLSv1.2', @two) } ],
    [ 'stock2-13' => 'stock nginx, 2 hops, TLS 1.3', 2,
        sub { stock($_[0], 'TLSv1.3', @two) } ],
    [ ssh => 'ssh -R, 2 hops', 0, \&ssh ],
    [ frp => 'frp, 2 hops, TLS 1.3', 2,
        sub { Bench::Peer::frp($_[0], mux => 'true', pool => 0) },
        qw/ frps frpc / ],
    [ 'frp-pool' => 'frp without tcpMux, pool of 20', 2,
        sub { Bench::Peer::frp($_[0], mux => 'false', pool => 20) },
        qw/ frps frpc / ],
    [ rathole => 'rathole, 2 hops, TLS', 2, \&Bench::Peer::rathole,
        qw/ rathole / ],
    [ chisel => 'chisel, 2 hops, TLS and ssh', 2, \&Bench::Peer::chisel,
        qw/ chisel / ],
    [ haproxy => 'haproxy, 3 hops, TLS 1.3', 3, \&haproxy ],
    [ trp => 'trp, 3 hops, TLS 1.3', 3, \&trp ],
    [ hub => 'trp, 2 hops, TLS 1.3', 2, \&hub ],
);

my %way = map {
    my ($name, $title, $hops, $start, @programs) = @$_;

    $name => { title => $title, hops => $hops, start => $start,
        programs => \@programs };
} @ways;

my $cipher = 'TLS_AES_128_GCM_SHA256';
my $cipher12 = 'ECDHE-ECDSA-AES128-GCM-SHA256';
my $cipher_ssh = 'aes128-gcm@openssh.com';

my $count = 0;


sub ways { return map { $_->[0] } @ways }

sub title { return $way{$_[1]}{title} }

# 0: compared with any

sub hops { return $way{$_[1]}{hops} }

# the programs of a way that are not in PATH

sub missing {
    my ($class, $name) = @_;

    return grep {
        my $program = $_;
        !grep { -x "$_/$program" } split /:/, $ENV{PATH};
    } @{$way{$name}{programs}};
}

sub ciphers { return { 'TLS 1.3' => $cipher, 'TLS 1.2' => $cipher12,
    'ssh' => $cipher_ssh } }


# Options: place, service (ports of web and iperf there), workers and files
# (descriptors) of each process; of trp also relay_workers, groups, entry and
# reverse (more for the configuration of these agents).

sub start {
    my ($class, $name, %options) = @_;

    my $self = bless {
        workers => 1, groups => 1, entry => '', reverse => '', %options,
        name => $name, dir => $name . ++$count, pids => {}, order => [],
    }, $class;

    $self->{relay_workers} ||= $self->{workers};
    mkdir home() . "/$self->{dir}";

    if (!eval { $way{$name}{start}->($self); $self->wait_for_answers(); 1 }) {
        my $error = $@;
        my $logs = $self->logs();
        $self->stop();
        die "$name: $error$logs";
    }

    return $self;
}

sub stop {
    my ($self) = @_;

    end($_) for map { $self->{pids}{$_} } reverse @{$self->{order}};
    $self->{pids} = {};
    $self->{order} = [];
}


# where users connect to, and for web, the ports of all groups

sub host { return $_[0]{host} }
sub port { return $_[0]{port}{$_[1]} }
sub ports { return @{$_[0]{ports} || [ $_[0]{port}{web} ]} }

# role => pid

sub roles { return @{$_[0]{order}} }
sub pid { return $_[0]{pids}{$_[1]} }
sub pids { return values %{$_[0]{pids}} }


sub wait_for_answers {
    my ($self) = @_;

    for my $port ($self->ports()) {
        wait_for(sub {
            for my $role ($self->roles()) {
                die "$role has ended\n" if !kill 0, $self->pid($role)
                    or slurp('/proc/' . $self->pid($role) . '/stat')
                        =~ /\) Z/;
            }

            return !system(join ' ', $self->{place}->inside('entry'),
                'timeout 5', home() . '/connect_load -1', $self->host(), $port,
                '> /dev/null 2>&1');
        }) or die "does not answer\n";
    }
}

sub logs {
    my ($self) = @_;
    my $home = home();

    return join '', map { tail($_) } glob("$home/$self->{dir}/*.log"),
        glob("$home/$self->{dir}/*/*.log");
}

sub tail {
    my @lines = split /^/, slurp($_[0]);
    return map { "  $_" } splice @lines, @lines > 5 ? -5 : 0;
}


# configurations

sub direct {
    my ($self) = @_;

    $self->{host} = $self->{place}->at('service');
    $self->{port} = $self->{service};
}

sub listens {
    my ($self, $role, @names) = @_;

    $self->{host} ||= $self->{place}->at($role);
    my %port;
    @port{@names} = free(scalar @names);

    return %port;
}

sub role {
    my ($self, $name, $modules, $conf, $workers) = @_;

    $workers ||= $self->{workers};
    $self->runs($name, nginx("$self->{dir}/$name", $modules, <<"END",
worker_processes $workers;
worker_rlimit_nofile $self->{files};
events { worker_connections $self->{files}; }
$conf
END
        $self->{place}->inside($name)));
}

sub runs {
    my ($self, $name, $pid) = @_;

    $self->{pids}{$name} = $pid;
    push @{$self->{order}}, $name;
}

sub stock1 {
    my ($self) = @_;
    my $place = $self->{place};
    my %port = $self->listens('entry', qw/ web iperf /);

    $self->{port} = \%port;
    $self->role('entry', [], "stream {\nproxy_half_close on;\n"
        . join('', map { <<"END" } keys %port) . '}');
server {
    listen @{[$place->at('entry')]}:$port{$_} backlog=4096;
    proxy_pass @{[$place->at('service')]}:$self->{service}{$_};
}
END
}


# The first role is without TLS for users; the others log handshakes that did
# not resume a session.

sub stock {
    my ($self, $protocol, @roles) = @_;
    my ($place, $home) = ($self->{place}, home());

    my $suite = $protocol eq 'TLSv1.3'
        ? sub { "$_[0]ssl_conf_command Ciphersuites $cipher;" }
        : sub { "$_[0]ssl_ciphers $cipher12;" };

    my %at = map { $_ => $place->at($_) } @roles, 'service';
    my %next = qw/ entry relay relay reverse reverse service /;
    my %port = (service => $self->{service});

    for my $role (reverse @roles) {
        my $next = $next{$role};

        $port{$role} = { $self->listens($roles[0], qw/ web iperf /) };

        my $conf = <<"END";
stream {
    proxy_half_close on;
    proxy_timeout 1h;
END

        $conf .= <<"END" if $role ne $roles[0];
    ssl_certificate $home/server.crt;
    ssl_certificate_key $home/server.key;
    ssl_protocols $protocol;
    ssl_session_cache shared:SSL:10m;
    ssl_session_timeout 1h;
    @{[$suite->('')]}
    map \$ssl_session_reused \$whole { . 1; default 0; }
    log_format handshake '\$ssl_protocol \$ssl_cipher';
    access_log $home/$self->{dir}/$role.handshakes handshake if=\$whole;
END

        $conf .= <<"END" if $role ne 'reverse';
    proxy_ssl on;
    proxy_ssl_protocols $protocol;
    proxy_ssl_trusted_certificate $home/server.crt;
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    proxy_ssl_session_reuse on;
    @{[$suite->('proxy_')]}
END

        my $ssl = $role eq $roles[0] ? '' : 'ssl ';
        $conf .= <<"END" for qw/ web iperf /;
    server {
        listen $at{$role}:$port{$role}{$_} ${ssl}backlog=4096;
        proxy_pass $at{$next}:$port{$next}{$_};
    }
END
        $self->role($role, [], "$conf}");
    }

    $self->{port} = $port{$roles[0]};
}


# How many of the TLS connections since the last time have resumed a session,
# in percent, where that is known; the number is that of connections.

sub resumed {
    my ($self, $connections) = @_;
    my $dir = home() . "/$self->{dir}";
    my @logs = glob "$dir/*.handshakes";
    my @sockets = glob "$dir/*.sock";

    if (@logs) {
        my $whole = map { split /^/, slurp($_) } @logs;
        my $before = $self->{whole} || 0;

        $self->{whole} = $whole;
        return if !$connections;
        return 100 * (1 - ($whole - $before) / @logs / $connections);
    }

    my @percent;

    for my $file (@sockets) {
        my $socket = IO::Socket::UNIX->new(Peer => $file) or next;

        print {$socket} "show info\n";
        push @percent, map { /^SslFrontendSessionReuse_pct: (\d+)/ ? $1 : () }
            <$socket>;
    }

    return @percent ? sum0(@percent) / @percent : undef;
}


sub haproxy {
    my ($self) = @_;
    my ($place, $home) = ($self->{place}, home());

    my %at = map { $_ => $place->at($_) } qw/ entry relay reverse service /;
    my %next = qw/ entry relay relay reverse reverse service /;
    my %port = (service => $self->{service});
    my $connections = int(($self->{files} - 200) / 2);

    write_file("$self->{dir}/server.pem",
        slurp("$home/server.crt") . slurp("$home/server.key"));

    for my $role (qw/ reverse relay entry /) {
        my $next = $next{$role};
        my $bind = $role eq 'entry' ? ''
            : "ssl crt $home/$self->{dir}/server.pem";
        my $server = $role eq 'reverse' ? ''
            : "ssl verify required ca-file $home/server.crt sni str(localhost)"
                . ' verifyhost localhost ssl-reuse';

        my $info = $role eq 'entry' ? ''
            : "stats socket $home/$self->{dir}/$role.sock";

        $port{$role} = { $self->listens('entry', qw/ web iperf /) };

        my $conf = <<"END";
global
    nbthread $self->{workers}
    maxconn $connections
    $info
    ssl-default-bind-options ssl-min-ver TLSv1.3
    ssl-default-bind-ciphersuites $cipher
    ssl-default-server-options ssl-min-ver TLSv1.3
    ssl-default-server-ciphersuites $cipher

defaults
    mode tcp
    maxconn $connections
    timeout connect 10s
    timeout client 1h
    timeout server 1h

END
        $conf .= <<"END" for qw/ web iperf /;
listen $_
    bind $at{$role}:$port{$role}{$_} backlog 4096 $bind
    server next $at{$next}:$port{$next}{$_} $server
END
        my $file = write_file("$self->{dir}/$role.cfg", $conf);

        $self->runs($role, spawn("$home/$self->{dir}/$role.log",
            $place->inside($role), qw/ haproxy -db -f /, $file));
    }

    $self->{port} = $port{entry};
}


# The user connects to the relay, there is no entry.

sub ssh {
    my ($self) = @_;
    my $place = $self->{place};
    my $dir = home() . "/$self->{dir}";
    my ($relay, $service) = map { $place->at($_) } qw/ relay service /;
    my %port = $self->listens('relay', qw/ sshd web iperf /);
    my ($sshd) = grep { -x } map { "$_/sshd" } split(/:/, $ENV{PATH}),
        qw! /usr/sbin /usr/local/sbin !;

    die "no sshd\n" if !$sshd;

    for (qw/ host user /) {
        system('ssh-keygen', qw/ -q -t ecdsa -b 256 -N /, '', '-f',
            "$dir/$_") == 0 or die "no keys\n";
    }

    our $made ||= $> == 0 && mkdir '/run/sshd', 0755;

    my $conf = write_file("$self->{dir}/sshd_config", <<"END");
Port $port{sshd}
ListenAddress $relay
HostKey $dir/host
PidFile none
AuthorizedKeysFile $dir/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
GatewayPorts clientspecified
Compression no
Ciphers $cipher_ssh
END

    $self->runs('relay', spawn("$dir/sshd.log", $place->inside('relay'),
        $sshd, qw/ -D -e -f /, $conf));

    my @to = map { ('-R', "$relay:$port{$_}:$service:$self->{service}{$_}") }
        qw/ web iperf /;
    my @ssh = (qw! ssh -N -q -F /dev/null -o BatchMode=yes
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null
        -o IdentitiesOnly=yes -o ExitOnForwardFailure=yes
        -o ConnectionAttempts=20 -c !, $cipher_ssh, '-i', "$dir/user", '-p',
        $port{sshd}, @to, getpwuid($<) . "\@$relay");

    $self->runs('reverse', spawn("$dir/ssh.log", $place->inside('reverse'),
        @ssh));

    $self->{port} = \%port;
}

END { rmdir '/run/sshd' if our $made; }


# Three nginx; with two hops entry and relay are one, and users connect there.

sub trp {
    my ($self) = @_;
    my ($place, $home) = ($self->{place}, home());
    my ($relay) = free(1);
    my $listens = $place->at('relay') . ":$relay";

    $self->role('relay', ['relay'],
        stream(relay_server($self, $listens)), $self->{relay_workers});
    reverses($self, $listens);

    $self->role('entry', ['entry'], stream(routes($self, 'entry',
        sub { "server $listens;\ntrp_entry;\n" . agent($self, entry => @_) })));
}

sub hub {
    my ($self) = @_;
    my ($relay) = free(1);
    my $listens = $self->{place}->at('relay') . ":$relay";

    $self->role('relay', [qw/ relay entry /],
        stream(relay_server($self, $listens), routes($self, 'relay',
            sub { "trp_entry local;\ntrp_entry_group $_[0];\n" })),
        $self->{relay_workers});
    reverses($self, $listens);
}

sub stream {
    return join '', "stream {\nproxy_half_close on;\nproxy_timeout 1h;\n", @_,
        "}\n";
}

sub agent {
    my ($self, $role, $group) = @_;
    my $home = home();

    return <<"END";
trp_${role}_key $home/auth;
trp_${role}_group $group;
trp_${role}_ssl_name localhost;
trp_${role}_ssl_trusted_certificate $home/server.crt;
trp_${role}_ssl_protocols TLSv1.3;
trp_${role}_ssl_conf_command Ciphersuites $cipher;
$self->{$role}
END
}

sub relay_server {
    my ($self, $listens) = @_;
    my $home = home();

    return <<"END";
server {
    listen $listens ssl;
    ssl_certificate $home/server.crt;
    ssl_certificate_key $home/server.key;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites $cipher;
    ssl_session_cache shared:SSL:10m;
    trp_relay;
    trp_authorized_keys $home/authorized_keys;
}
END
}

sub reverses {
    my ($self, $relay) = @_;
    my $service = $self->{place}->at('service');

    $self->role('reverse', ['reverse'], stream("upstream relay "
        . "{ server $relay; }\n", map { <<"END" } 1 .. $self->{groups}));
server {
    trp_reverse relay;
    @{[agent($self, reverse => $_)]}
    trp_reverse_allow $service;
    proxy_pass \$trp_destination;
}
END
}

# Where users connect to: a port of web for each group, and one of iperf.

sub routes {
    my ($self, $role, $upstream) = @_;
    my ($at, $to) = map { $self->{place}->at($_) } $role, 'service';
    my @groups = 1 .. $self->{groups};
    my @ports = free(scalar @groups + 1);
    my $iperf = pop @ports;

    $self->{host} = $at;
    $self->{ports} = \@ports;
    $self->{port} = { web => $ports[0], iperf => $iperf };

    return (map { <<"END" } @groups), <<"END";
upstream group$_ {
    @{[$upstream->($_)]}
}
server {
    trp_route $ports[$_ - 1]:$to:$self->{service}{web} bind=$at backlog=4096;
    proxy_pass group$_;
}
END
server {
    trp_route $iperf:$to:$self->{service}{iperf} bind=$at backlog=4096;
    proxy_pass group1;
}
END
}


# the service: one nginx with a short answer, and an iperf3

sub service {
    my ($class, $place, $files) = @_;
    my %port;
    my $at = $place->at('service');

    @port{qw/ web iperf /} = free(2);
    my $dir = 'service' . ++$count;

    mkdir home() . "/$dir";

    my $web = nginx("$dir/web", [], <<"END", $place->inside('service'));
worker_rlimit_nofile $files;
events { worker_connections $files; }
http {
    access_log off;
    keepalive_requests 100000000;
    keepalive_timeout 1h;
    server {
        listen $at:$port{web} backlog=4096;
        return 200 'hello, world\\n';
    }
}
END
    my $iperf = spawn('/dev/null', $place->inside('service'),
        qw/ iperf3 -s -B /, $at, '-p', $port{iperf});

    return { port => \%port, pids => [ $web, $iperf ] };
}


sub write_file {
    my ($name, $text) = @_;
    my $file = home() . "/$name";

    open my $fh, '>', $file or die "$file: $!\n";
    print {$fh} $text;
    close $fh;

    return $file;
}


1;
