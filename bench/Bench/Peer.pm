package Bench::Peer;

# Programs whose users do what users of trp do with two hops: a server that is
# public, an agent that dials it.  None is installed by the benchmark.  A
# program in Go runs Go code, and one with tokio its tasks, on as many threads
# as the others have workers.

use strict;
use warnings;

use Bench;


# the files of a way, and a role of it

sub file {
    my ($way, $name, $text) = @_;
    my $file = home() . "/$way->{dir}/$name";

    open my $fh, '>', $file or die "$file: $!\n";
    print {$fh} $text;
    close $fh;

    return $file;
}

sub role {
    my ($way, $name, @command) = @_;

    $way->runs($name, spawn(home() . "/$way->{dir}/$name.log",
        $way->{place}->inside($name), 'env', "GOMAXPROCS=$way->{workers}",
        "TOKIO_WORKER_THREADS=$way->{workers}", @command));
}


# Options: mux (all users on one connection), pool (of connections).

sub frp {
    my ($way, %options) = @_;
    my ($home, $place) = (home(), $way->{place});
    my ($relay, $service) = map { $place->at($_) } qw/ relay service /;
    my %port = $way->listens('relay', qw/ server web iperf /);

    my $both = <<"END";
transport.tcpMux = $options{mux}
auth.token = "bench"
log.level = "error"
END

    role($way, 'relay', qw/ frps -c /, file($way, 'frps.toml', <<"END"));
bindAddr = "$relay"
bindPort = $port{server}
proxyBindAddr = "$relay"
transport.maxPoolCount = 1000
transport.tls.force = true
transport.tls.certFile = "$home/server.crt"
transport.tls.keyFile = "$home/server.key"
$both
END

    role($way, 'reverse', qw/ frpc -c /, file($way, 'frpc.toml', <<"END"
serverAddr = "$relay"
serverPort = $port{server}
loginFailExit = false
transport.poolCount = $options{pool}
transport.tls.enable = true
transport.tls.trustedCaFile = "$home/server.crt"
transport.tls.serverName = "localhost"
$both
END
        . join '', map { <<"END" } qw/ web iperf /));
[[proxies]]
name = "$_"
type = "tcp"
localIP = "$service"
localPort = $way->{service}{$_}
remotePort = $port{$_}
END

    $way->{port} = \%port;
}


sub rathole {
    my ($way) = @_;
    my ($home, $place) = (home(), $way->{place});
    my ($relay, $service) = map { $place->at($_) } qw/ relay service /;
    my %port = $way->listens('relay', qw/ server web iperf /);
    my $identity = "$home/$way->{dir}/identity.pfx";

    system(qw/ openssl pkcs12 -export -passout pass:bench -inkey /,
        "$home/server.key", '-in', "$home/server.crt", '-out', $identity)
        == 0 or die "no identity\n";

    role($way, 'relay', qw/ rathole -s /, file($way, 'server.toml', <<"END"
[server]
bind_addr = "$relay:$port{server}"
default_token = "bench"

[server.transport]
type = "tls"

[server.transport.tls]
pkcs12 = "$identity"
pkcs12_password = "bench"

END
        . join '', map { <<"END" } qw/ web iperf /));
[server.services.$_]
bind_addr = "$relay:$port{$_}"

END

    role($way, 'reverse', qw/ rathole -c /, file($way, 'client.toml', <<"END"
[client]
remote_addr = "$relay:$port{server}"
default_token = "bench"

[client.transport]
type = "tls"

[client.transport.tls]
trusted_root = "$home/server.crt"
hostname = "localhost"

END
        . join '', map { <<"END" } qw/ web iperf /));
[client.services.$_]
local_addr = "$service:$way->{service}{$_}"

END

    $way->{port} = \%port;
}


sub chisel {
    my ($way) = @_;
    my ($home, $place) = (home(), $way->{place});
    my ($relay, $service) = map { $place->at($_) } qw/ relay service /;
    my %port = $way->listens('relay', qw/ server web iperf /);

    role($way, 'relay', qw/ chisel server --reverse --host /, $relay,
        '--port', $port{server}, '--tls-cert', "$home/server.crt",
        '--tls-key', "$home/server.key");

    role($way, 'reverse', qw/ chisel client --tls-ca /, "$home/server.crt",
        qw/ --sni localhost /, "https://$relay:$port{server}",
        map { "R:$relay:$port{$_}:$service:$way->{service}{$_}" }
        qw/ web iperf /);

    $way->{port} = \%port;
}


1;
