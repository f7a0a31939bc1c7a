package Test::Nginx::TRP::Gate;

# A port in front of a relay that lets connections pass by the way they have
# come: "turn" from the ports of a TURN server, "proxy" from 127.0.0.2, "direct"
# from elsewhere.
#
#     gate($t, port(8443), port(8444))   listens on return
#     gate_set($t, direct => 'closed')   what is there ends, what comes too
#     gate_set($t, direct => 'silent')   accepted, but nothing passes
#     gate_set($t, direct => 'flaps')    open for a second, closed for three
#     gate_set($t, direct => 'open')
#     gate_now($t)                       { direct => 2, turn => 0, ... }, and
#                                        how many have come: direct_all, ...
#
# GATE_TURN are the ports, for "trp_turn_ports".

use strict;
use warnings;

use Exporter qw/ import /;
use IO::Select;
use IO::Socket::INET;
use Socket qw/ SOL_SOCKET SO_LINGER /;
use Time::HiRes qw/ time /;

use Test::Nginx::TRP::Servers qw/ listener /;

our @EXPORT = qw/ gate gate_set gate_now GATE_TURN /;

use constant GATE_TURN => '26000-31999';


sub gate {
    my ($t, $port, $to) = @_;
    my $listener = listener($port);

    $t->write_file('gate.state', '');
    $t->run_daemon(\&_run, $t->testdir(), $listener, $to);
    close $listener;
}


sub gate_set {
    my ($t, %set) = @_;
    my %state = (_read($t->testdir() . '/gate.state'), %set);

    _write($t->testdir() . '/gate.state', \%state);
}


sub gate_now {
    my ($t) = @_;
    return { _read($t->testdir() . '/gate.now') };
}


sub _read {
    my ($file) = @_;
    open my $fh, '<', $file or return;
    local $/;
    return split ' ', <$fh> // '';
}


sub _write {
    my ($file, $values) = @_;

    open my $fh, '>', "$file.new" or die "can't write $file: $!\n";
    print $fh "$_ $values->{$_}\n" for sort keys %$values;
    close $fh;
    rename "$file.new", $file;
}


sub _run {
    my ($dir, $listener, $to) = @_;
    my (%pair, %kind, %out);
    my $now = { map { $_ => 0, "${_}_all" => 0 } qw/ direct turn proxy / };

    $SIG{PIPE} = 'IGNORE';
    $listener->blocking(0);

    my $state = sub {
        my ($kind) = @_;
        my %state = _read("$dir/gate.state");
        my $state = $state{$kind} // 'open';

        return $state ne 'flaps' ? $state
            : time() - 4 * int(time() / 4) < 1 ? 'open' : 'closed';
    };

    my $close = sub {
        my ($s) = @_;
        my $other = $pair{$s} or return;

        $now->{$kind{$s}}--;

        for ($s, $other) {
            setsockopt $_, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
            delete $pair{$_};
            delete $kind{$_};
            delete $out{$_};
            close $_;
        }
    };

    while (1) {
        my %open = map { $_ => $state->($_) } qw/ direct turn proxy /;
        my %sockets = map { $_ => $_ } values %pair;

        for my $s (grep { $pair{$_} } values %sockets) {
            $close->($s) if $pair{$s} && $open{$kind{$s}} eq 'closed';
        }

        _write("$dir/gate.now", $now);

        my $read = IO::Select->new($listener, grep {
            $open{$kind{$_}} eq 'open' && length($out{$pair{$_}}) < 1 << 18
        } grep { $pair{$_} } values %sockets);

        my $write = IO::Select->new(grep { length $out{$_} }
            grep { $pair{$_} } values %sockets);

        my ($readable, $writable) = IO::Select::select($read, $write, undef,
            0.1);

        for my $s (@{$readable || []}) {

            if ($s != $listener) {
                next if !$pair{$s};
                my $n = sysread $s, my $data, 65536;

                if ($n) {
                    $out{$pair{$s}} .= $data;
                } elsif (defined $n || !$!{EAGAIN}) {
                    $close->($s);
                }

                next;
            }

            my $c = $listener->accept() or next;
            my ($first, $last) = split '-', GATE_TURN;
            my $kind = $c->peerhost() eq '127.0.0.2' ? 'proxy'
                : $c->peerport() >= $first && $c->peerport() <= $last ? 'turn'
                : 'direct';

            $now->{"${kind}_all"}++;

            my $r = $open{$kind} ne 'closed' && IO::Socket::INET->new(
                PeerAddr => "127.0.0.1:$to", Timeout => 1);

            if (!$r) {
                setsockopt $c, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
                close $c;
                next;
            }

            $_->blocking(0) for $c, $r;
            @pair{$c, $r} = ($r, $c);
            @kind{$c, $r} = ($kind, $kind);
            @out{$c, $r} = ('', '');
            $now->{$kind}++;
        }

        for my $s (@{$writable || []}) {
            next if !$pair{$s};
            my $n = syswrite $s, $out{$s};

            if ($n) {
                substr $out{$s}, 0, $n, '';
            } elsif (!$!{EAGAIN}) {
                $close->($s);
            }
        }
    }
}


1;
