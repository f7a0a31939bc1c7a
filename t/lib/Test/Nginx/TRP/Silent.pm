package Test::Nginx::TRP::Silent;

# Agents of one group that fall silent.  Each dials a port of the relay of its
# own, so that its cable can be pulled, and has a service of its own, which says
# the agent's name and then echoes.
#
#     silent_network();
#     my $s = Test::Nginx::TRP::Silent->new(
#         agents => [ 'a', 'b backup' ], relay => 'trp_relay_... ;');
#     $s->start(8);
#     $s->pull('a');
#     is($s->user(), 'b', 'served by the backup');
#     is($s->requests('a'), 0, 'and only by that one');

use strict;
use warnings;

use Exporter qw/ import /;
use Test::More;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Fault;

our @EXPORT = qw/ silent_network /;

my %stopped;

END { kill 'CONT', keys %stopped }


# packets can be dropped only in the test's own network

sub silent_network { fault_network() }


# Options: agents, each "NAME" or "NAME backup"; relay, entry, reverse:
# directives of their servers, or of the entry's upstream; workers of an agent;
# tunnels of each agent and worker (4); local: 1 if users come to the relay's
# own nginx; udp: 1 if their route is one of UDP.

sub new {
    my ($class, %opts) = @_;
    my $tunnels = $opts{tunnels} || 4;
    my $workers = $opts{workers} || 1;
    my $self = bless { tunnels => $tunnels * $workers }, $class;
    my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
    my $entry = $opts{local} ? undef : Test::Nginx->new();
    my @names = map { (split)[0] } @{$opts{agents}};
    my $listen = join "\n        ", map { "listen 127.0.0.1:$_ ssl;" }
        map { 8443 + $_ } 0 .. @names;

    @{$self}{qw/ relay entry names /} = ($relay, $entry, \@names);

    my $head = sub { <<"EOC" };

%%TEST_GLOBALS%%

daemon off;
worker_processes $_[0];

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

EOC

    my $users = <<"EOC";
    upstream relay {
        @{[ $opts{local} ? '' : 'server 127.0.0.1:8443;' ]}
        trp_entry@{[ $opts{local} ? ' local' : '' ]};
        @{[ $opts{local} ? '' : 'trp_entry_key entry;
        trp_entry_ssl_trusted_certificate localhost.crt;' ]}
        @{[ $opts{entry} || '' ]}
    }

    server {
        trp_route %%PORT_8080%%:8080 bind=127.0.0.1@{[ $opts{udp}
            ? ' udp' : '' ]};
        proxy_half_close on;
        proxy_pass relay;
    }
EOC

    $relay->write_file_expand('nginx.conf', $head->(1)
        . ($entry ? '' : $users) . <<"EOC");
    server {
        $listen
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
        @{[ $opts{relay} || '' ]}
    }
}

EOC

    $entry->write_file_expand('nginx.conf', $head->(1) . "$users}\n") if $entry;

    for my $i (0 .. $#names) {
        my $t = Test::Nginx->new();
        my ($name, $backup) = split ' ', $opts{agents}[$i];
        my ($port, $service) = (8444 + $i, 8091 + $i);

        $t->write_file_expand('nginx.conf', $head->($workers) . <<"EOC");
    upstream relay {
        server 127.0.0.1:$port;
    }

    server {
        trp_reverse relay;
        trp_reverse_name $name;
        trp_reverse_key reverse;
        trp_reverse_backup @{[ $backup ? 'on' : 'off' ]};
        trp_reverse_pool idle=$tunnels max=$tunnels;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        @{[ $opts{reverse} || '' ]}

        proxy_half_close on;
        proxy_pass 127.0.0.1:$service;
    }
}

EOC

        $self->{agents}{$name} = $t;
        $self->{port}{$name} = $port;
        $self->{service}{$name} = $service;
    }

    my @agents = values %{$self->{agents}};
    my @keys = map { trp_keys($_, 'reverse') } @agents;

    push @keys, trp_keys($entry, 'entry') if $entry;
    trp_cert($relay, $entry || (), @agents);
    $relay->write_file('authorized_keys', join "\n", @keys, '');

    return $self;
}


# with so many tests of the caller's

sub start {
    my ($self, $tests) = @_;
    my $relay = $self->{relay};

    for my $name (@{$self->{names}}) {
        serve($relay, port($self->{service}{$name}), 'hello',
            data => "$name\n", record => $name);
    }

    my @others = (values %{$self->{agents}}, $self->{entry} || ());

    $_->run() for $relay, @others;
    $relay->plan($tests + 2 * @others);

    $self->ready($_) || die "$_ has no tunnels\n"
        for @{$self->{names}};
}


# an agent has so many tunnels more

sub ready {
    my ($self, $name, $times) = @_;
    return wait_log($self->{relay}, qr/reverse "$name" .* has a tunnel/,
        count => $self->{tunnels} * ($times || 1));
}


# a user who sends a request at once; the name of the agent that has served it,
# or how the connection has ended

sub begin {
    my ($self, $request) = @_;
    my $s = connect_to(port(8080), timeout => 60);
    syswrite $s, defined $request ? $request : 'request';
    return $s;
}


sub answer {
    my ($self, $s) = @_;
    my $line = readline $s;

    if (!defined $line) {
        return reset_of($s) ? 'reset' : 'end';
    }

    chomp $line;

    # a server that was started meanwhile has the socket, too
    shutdown $s, 2;
    close $s;

    return $line;
}


sub user {
    my ($self, @request) = @_;
    return $self->answer($self->begin(@request));
}


# connections that have brought a request to the service of an agent

sub requests {
    my ($self, $name) = @_;
    return scalar grep { /^[1-9]/ } served($self->{relay}, $name);
}


sub wait_requests {
    my ($self, $name, $count) = @_;
    wait_for(sub { $self->requests($name) >= $count });
    return $self->requests($name);
}


# how often the relay has found out that an agent is silent

sub found {
    my ($self, $name) = @_;
    return count_log($self->{relay}, qr/reverse "$name" .* does not answer/);
}


# the agent's cable is pulled, is back

sub pull {
    my ($self, $name, $hook) = @_;
    my $port = port($self->{port}{$name});

    for my $side ($hook ? $hook : qw/ dport sport /) {
        _nft("add chain inet fault $name "
            . '{ type filter hook input priority 0; }');
        _nft("add rule inet fault $name tcp $side $port drop");
    }
}


# connections to its service are not answered, are

sub block {
    my ($self, $name) = @_;

    _nft("add chain inet fault service_$name "
        . '{ type filter hook input priority 0; }');
    _nft("add rule inet fault service_$name tcp dport "
        . port($self->{service}{$name}) . ' drop');
}


sub unblock {
    my ($self, $name) = @_;
    _nft("flush chain inet fault service_$name");
}


sub plug_in {
    my ($self, $name) = @_;
    _nft("flush chain inet fault $name");
}


sub _nft {
    my ($command) = @_;
    system('nft', $command) == 0 or die "nft $command has failed\n";
}


# its worker processes are stopped, go on

sub stop_agent {
    my ($self, $name, $count) = @_;
    my @pids = worker_pids($self->{agents}{$name});

    $#pids = $count - 1 if $count;
    $stopped{$_} = 1 for @pids;
    kill 'STOP', @pids;
}


sub go_on {
    my ($self) = @_;
    kill 'CONT', keys %stopped;
    %stopped = ();
}


1;
