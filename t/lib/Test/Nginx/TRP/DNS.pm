package Test::Nginx::TRP::DNS;

# A name server whose answers a test changes while it runs.

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Socket::INET;
use Socket qw/ AF_INET AF_INET6 inet_pton /;

use Test::Nginx;
use Test::Nginx::TRP::Waiting qw/ count_log wait_log /;

our @EXPORT = qw/ dns dns_change dns_asked /;


# Starts it on a port of UDP, or "address:port", with the same arguments as
# dns_change().  Each question is a line "name type" in dns.log.

sub dns {
    my ($t, $port, @answers) = @_;

    my $socket = IO::Socket::INET->new(
        Proto => 'udp',
        LocalAddr => $port =~ /:/ ? $port : "127.0.0.1:$port",
    ) or die "can't listen on $port: $!\n";

    $t->write_file('dns.log', '');
    dns_change($t, @answers);

    $t->run_daemon(\&_dns, $t, $socket);
    return $t;
}


# From now on names have these addresses of both families, with a TTL of one
# second.  In place of addresses: "silent", no answer; "trouble", SERVFAIL;
# nothing, a name without addresses.  Other names do not exist.

sub dns_change {
    my ($t, %names) = @_;

    $t->write_file('dns.new', join '',
        map { "$_ $names{$_}\n" } sort keys %names);
    rename $t->testdir() . '/dns.new', $t->testdir() . '/dns.names'
        or die "can't rename dns.new: $!\n";
}


# waits until the name has been asked for so many more times

sub dns_asked {
    my ($t, $name, $count) = @_;
    my $re = qr/^\Q$name\E /;
    my $before = count_log($t, $re, file => 'dns.log');

    return wait_log($t, $re, file => 'dns.log', count => $before + $count);
}


sub _dns {
    my ($t, $socket) = @_;

    open my $log, '>>', $t->testdir() . '/dns.log' or die "dns.log: $!\n";

    while (1) {
        defined $socket->recv(my $query, 4096) or next;
        next if length $query < 17;

        my ($id) = unpack 'n', $query;
        my ($question, $labels, $type) = substr($query, 12)
            =~ /^((.*?)\0(..)..)/s or next;

        $type = unpack 'n', $type;
        my $name = lc join '.', unpack '(C/a)*', $labels;

        my %names = map { /^(\S+) ?(.*)$/ ? ($1, $2) : () }
            split /\n/, $t->read_file('dns.names');

        my $answer = $names{$name};
        syswrite $log, "$name " . ({ 1 => 'A', 28 => 'AAAA' }->{$type}
            || $type) . "\n";

        next if defined $answer && $answer eq 'silent';

        my $code = !defined $answer ? 3 : $answer eq 'trouble' ? 2 : 0;
        my @addrs = $code ? () : grep { (/:/ ? 28 : 1) == $type }
            split ' ', $answer;

        $socket->send(pack('n6', $id, 0x8180 | $code, 1, scalar @addrs, 0, 0)
            . $question . join '', map {
            pack 'n3 N n/a', 0xc00c, $type, 1, 1,
                inet_pton(/:/ ? AF_INET6 : AF_INET, $_) } @addrs);
    }
}

1;
