package Test::Nginx::TRP::SilentRelay;

# Two relays of one entry, "a" and, as its backup, "b", that fall silent.  Each
# has a reverse, and a service of its own, which says the relay's name and then
# echoes.  All functions of Silent.pm are about relays here.
#
#     silent_network();
#     my $s = Test::Nginx::TRP::SilentRelay->new(entry => 'trp_entry_... ;');
#     $s->start(8);
#     $s->pull('a');
#     is($s->user(), 'b', 'served through the other one');

use strict;
use warnings;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Silent;

use parent -norequire, 'Test::Nginx::TRP::Silent';


# Options: entry, reverse: directives of its upstream, of its servers; tunnels of
# each of them to each relay (4); alone: 1 if there is no "b".

sub new {
    my ($class, %opts) = @_;
    my @names = $opts{alone} ? ('a') : ('a', 'b');
    my $tunnels = $opts{tunnels} || 4;
    my $self = bless { names => \@names, tunnels => $tunnels }, $class;

    my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

EOC

    my $ends = Test::Nginx->new()->has(qw/ stream stream_ssl /);
    my $reverses = '';

    for my $i (0 .. $#names) {
        my $t = Test::Nginx->new();
        my ($name, $port, $service) = ($names[$i], 8443 + $i, 8091 + $i);

        $t->write_file_expand('nginx.conf', $head . <<"EOC");
    server {
        listen 127.0.0.1:$port ssl;
        ssl_protocols TLSv1.3;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        trp_relay;
        trp_authorized_keys authorized_keys;
    }
}

EOC

        $self->{agents}{$name} = $t;
        $self->{port}{$name} = $port;
        $self->{service}{$name} = $service;

        $reverses .= <<"EOC";
    upstream $name {
        server 127.0.0.1:$port;
    }

    server {
        trp_reverse $name;
        trp_reverse_name $name;
        trp_reverse_key any;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_pool idle=$tunnels max=$tunnels;
        @{[ $opts{reverse} || '' ]}

        proxy_half_close on;
        proxy_pass 127.0.0.1:$service;
    }
EOC
    }

    my $backup = $opts{alone} ? '' : 'server 127.0.0.1:8444 backup;';

    $ends->write_file_expand('nginx.conf', $head . <<"EOC");
    upstream relay {
        server 127.0.0.1:8443;
        $backup
        trp_entry;
        trp_entry_key any;
        trp_entry_ssl_trusted_certificate localhost.crt;
        trp_entry_pool idle=$tunnels;
        @{[ $opts{entry} || '' ]}
    }

    server {
        trp_route %%PORT_8080%%:8080 bind=127.0.0.1;
        proxy_half_close on;
        proxy_pass relay;
    }

$reverses
}

EOC

    my @relays = map { $self->{agents}{$_} } @names;

    $self->{ends} = $ends;
    $self->{relay} = $ends;

    trp_cert(@relays, $ends);

    my $key = trp_keys($ends, 'any');
    my $cert_key = $relays[0]->read_file('localhost.key');

    for my $t (@relays) {
        $t->write_file('localhost.key', $cert_key);
        $t->write_file('authorized_keys', "$key\n");
    }

    return $self;
}


sub start {
    my ($self, $tests) = @_;

    for my $name (@{$self->{names}}) {
        serve($self->{ends}, port($self->{service}{$name}), 'hello',
            data => "$name\n", record => $name);
    }

    my @all = (values %{$self->{agents}}, $self->{ends});

    $_->run() for @all;
    $self->{ends}->plan($tests + 2 * (@all - 1));

    wait_log($self->{ends}, qr/tunnel is ready/,
        count => 2 * $self->{tunnels} * (@all - 1))
        || die "no tunnels\n";
}


# how often the entry has found out that a relay is silent

sub found {
    my ($self, $name) = @_;
    my $port = port($self->{port}{$name});
    return count_log($self->{ends},
        qr/relay does not answer.*relay: 127\.0\.0\.1:$port/);
}


1;
