package Bench::Place;

# Where the processes of a way run: all on loopback, or users, relay and
# service in network namespaces of their own with a delay on each leg
# (users and entry -- relay -- reverse and service), or on the second one only
# (users, entry and relay -- reverse and service).

use strict;
use warnings;

use Exporter qw/ import /;

use Bench;

our @EXPORT = qw/ loopback distant near /;


sub loopback {
    return bless {
        at => { map { $_ => '127.0.0.1' } qw/ entry relay reverse service / },
        inside => {},
    };
}


# Needs root and TUN devices; dies without.  netem would do as well where the
# kernel has it, but this works the same everywhere.  Settings of delay.c are
# those of the second leg.

sub distant {
    my ($delay, $rtt, $settings) = @_;
    my %pid;

    # these end with their processes, whatever happens to the benchmark

    $pid{$_} = spawn('/dev/null', qw/ unshare -n sleep 86400 /)
        for qw/ entry relay reverse /;

    wait_for(sub {
        !grep { slurp("/proc/$_/comm") ne "sleep\n" } values %pid
    }) or die "no network namespaces\n";

    my $self = bless {
        holders => [ values %pid ],
        at => { entry => '10.99.1.1', relay => '10.99.2.1',
            reverse => '10.99.2.2', service => '10.99.2.2' },
        inside => { map { $_ => [ 'nsenter', '-t', $pid{$_}, '-n', '--' ] }
            keys %pid },
    };

    $self->{inside}{service} = $self->{inside}{reverse};

    for (['leg1', qw/ entry relay /], ['leg2', qw/ relay reverse /]) {
        my ($name, $one, $two) = @$_;

        my $log = home() . "/$name.log";

        unlink $log;
        push @{$self->{links}}, spawn($log, $delay, join(',', $rtt / 2,
            $settings && $name eq 'leg2' ? $settings : ()),
            $pid{$one}, $name, $pid{$two}, $name);

        wait_for(sub { slurp($log) =~ /ready/ })
            or die "no network namespaces with TUN devices: ", slurp($log);
    }

    for (
        [ entry => qw/ leg1 10.99.1.1 10.99.1.2 / ],
        [ relay => qw/ leg1 10.99.1.2 10.99.1.1 / ],
        [ relay => qw/ leg2 10.99.2.1 10.99.2.2 / ],
        [ reverse => qw/ leg2 10.99.2.2 10.99.2.1 / ],
    ) {
        my ($role, $device, $from, $to) = @$_;

        $self->run($role, qw/ ip link set lo up /);
        $self->run($role, qw/ ip addr add /, $from, 'peer', $to, 'dev',
            $device);
        $self->run($role, qw/ ip link set /, $device, qw/ txqueuelen 10000 /,
            'up');
    }

    $self->run('entry', qw! ip route add 10.99.2.0/24 via 10.99.1.2 !);
    $self->run('reverse', qw! ip route add 10.99.1.0/24 via 10.99.2.1 !);
    $self->set('relay', 'ipv4/ip_forward', 1);

    # so that ports do not limit the number of connections

    for my $role (qw/ entry relay reverse /) {
        $self->set($role, 'ipv4/tcp_tw_reuse', 1);
        $self->set($role, 'ipv4/ip_local_port_range', '10240 65000');
        $self->set($role, 'core/somaxconn', 4096);
    }

    return $self;
}


# The same, but users, and an entry, are where the relay is.

sub near {
    my ($distant) = @_;
    my %self = %$distant;

    for my $what (qw/ at inside /) {
        $self{$what} = { %{$self{$what}},
            entry => $self{$what}{relay} };
    }

    return bless \%self, ref $distant;
}


sub run {
    my ($self, $role, @command) = @_;

    system($self->inside($role), @command) == 0
        or die "failed: @command\n";
}


sub set {
    my ($self, $role, $what, $value) = @_;
    $self->run($role, 'sh', '-c', "echo $value > /proc/sys/net/$what");
}


# TCP's congestion control on the second leg

sub congestion {
    my ($self, $name) = @_;

    $self->run($_->[0], qw/ ip route replace /, $_->[1], qw/ dev leg2 src /,
        $_->[2], 'congctl', $name)
        for [ qw/ relay 10.99.2.2 10.99.2.1 / ],
            [ qw/ reverse 10.99.2.1 10.99.2.2 / ];
}


# the command that starts something there, and the address

sub inside {
    my ($self, $role) = @_;
    return @{$self->{inside}{$role} || []};
}

# ends the links and the namespaces

sub stop {
    my ($self) = @_;
    end($_) for $self->links(), @{$self->{holders} || []};
}

# what makes the delay, and is part of the load

sub links { return @{$_[0]{links} || []} }

sub at {
    my ($self, $role) = @_;
    return $self->{at}{$role};
}


1;
