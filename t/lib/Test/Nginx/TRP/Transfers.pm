package Test::Nginx::TRP::Transfers;

# Transfers through a tunnel: every byte, in both directions at once, with
# buffers of several sizes.
#
#     test_transfers();                on TLS
#     test_transfers(quic => 1);       on QUIC

use strict;
use warnings;

use Digest::SHA qw/ sha256_hex /;
use Exporter qw/ import /;
use POSIX ();
use Socket qw/ IPPROTO_TCP SHUT_WR TCP_NODELAY /;
use Test::More;

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Conf;

our @EXPORT = qw/ test_transfers /;

my @sizes = (1, 2, 4095 .. 4097, 16379 .. 16385, 65535, 1_000_000, 20_000_000);


sub test_transfers {
    my %o = @_;
    my $server = $o{quic} ? '127.0.0.1:%%PORT_8443_UDP%%' : '127.0.0.1:8433';
    my ($on_entry, $on_reverse) = map { $o{quic} ? "trp_${_}_quic on;" : '' }
        qw/ entry reverse /;

    my $relay = Test::Nginx->new()->has(qw/ stream stream_ssl /);
    my $entry = Test::Nginx->new();
    my $reverse = Test::Nginx->new();

    $o{quic} ? quic_relay_conf($relay) : relay_conf($relay, 8433);

    $entry->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    proxy_half_close on;

    upstream relay_1k {
        server $server;

        trp_entry;
        trp_entry_group 1k;
        trp_entry_key entry;
        $on_entry
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream relay_16k {
        server $server;

        trp_entry;
        trp_entry_group 16k;
        trp_entry_key entry;
        $on_entry
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    upstream relay_64k {
        server $server;

        trp_entry;
        trp_entry_group 64k;
        trp_entry_key entry;
        $on_entry
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8081%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_buffer_size 1k;
        proxy_pass relay_1k;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_buffer_size 16383;
        proxy_pass relay_16k;
    }

    server {
        trp_route %%PORT_8083%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_buffer_size 64k;
        proxy_pass relay_64k;
    }
}

EOC

    $reverse->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream relay {
        server $server;
    }

    trp_reverse_key reverse;
    $on_reverse
    trp_reverse_ssl_trusted_certificate localhost.crt;
    proxy_half_close on;

    server {
        trp_reverse relay;
        trp_reverse_group 1k;
        proxy_buffer_size 1k;
        proxy_pass \$trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group 16k;
        proxy_buffer_size 16383;
        proxy_pass \$trp_destination;
    }

    server {
        trp_reverse relay;
        trp_reverse_group 64k;
        proxy_buffer_size 64k;
        proxy_pass \$trp_destination;
    }
}

EOC

    trp_cert($relay, $entry, $reverse);
    $relay->write_file('authorized_keys',
        join "\n", trp_keys($entry, 'entry'), trp_keys($reverse, 'reverse'));

    serve($reverse, port(8090), 'echo');

    my %port = ('1k' => 8081, '16k' => 8082, '64k' => 8083);

    $relay->run();
    $reverse->run();
    $entry->run()->plan(4 * keys(%port) + 2 * 2);

    _buffer($_, port($port{$_})) for sort keys %port;
}


sub _buffer {
    my ($buffer, $port) = @_;
    my (@wrong, $s, $result, $echo);

    # one at a time

    for my $size (@sizes) {
        $result = transfer(connect_to($port), $size, seed => $size);
        push @wrong, "$size: " . _wrong($result, $size)
            if _wrong($result, $size);
    }

    is("@wrong", '', "sizes, buffer of $buffer");

    # one after the other in the same connection, each to its last byte

    @wrong = ();
    $s = connect_to($port);

    for my $size (@sizes) {
        $result = transfer($s, $size, seed => $size, fin => 0);
        push @wrong, $size
            if $result->{received_sha} ne $result->{sent_sha};
    }

    is("@wrong", '', "one connection, buffer of $buffer");

    # byte by byte

    $s = connect_to($port);
    setsockopt $s, IPPROTO_TCP, TCP_NODELAY, 1;

    my $data = join '', map { chr(rand 256) } 1 .. 3000;

    syswrite $s, $_ for split //, $data;
    shutdown $s, SHUT_WR;

    $echo = do { local $/; <$s> };
    ok($echo eq $data . "3000 " . sha256_hex($data) . "\n",
        "byte by byte, buffer of $buffer");

    # many at once, more than there are buffers that a worker keeps

    my @children = map { _child($port, $_) } 1 .. 24;
    @wrong = grep { waitpid $_, 0; $? } @children;

    is(@wrong, 0, "at once, buffer of $buffer");
}


sub _wrong {
    my ($result, $size) = @_;

    return $result->{end} if $result->{end} ne 'eof';
    return "received $result->{received}" if $result->{received} != $size;
    return 'digest' if $result->{received_sha} ne $result->{sent_sha};
    return "tail $result->{tail}"
        if $result->{tail} ne "$size $result->{sent_sha}\n";
    return '';
}


# exits with 1 if a transfer goes wrong

sub _child {
    my ($port, $seed) = @_;

    my $pid = fork();
    die "can't fork: $!\n" if !defined $pid;
    return $pid if $pid;

    my $size = 1_000_000 + $seed;
    my $result = transfer(connect_to($port), $size, seed => $seed);

    POSIX::_exit(_wrong($result, $size) ? 1 : 0);
}

1;
