package Test::Nginx::TRP::Interop;

# Other TURN implementations, in programs that scripts/interop builds from
# t/interop, and libnice, which is a package.
#
#     my $missing = interop_missing('pion');
#     my @lines = interop('pion', qw/ client 5 udp /, ...);    what it prints
#     $t->run_daemon(interop_command('pion', 'server', ...));
#
#     echo_udp($t, port(8980, udp => 1));

use strict;
use warnings;

use Exporter qw/ import /;
use FindBin;
use IO::Socket::INET;

use Test::Nginx::TRP::Programs qw/ executable output /;
use Test::Nginx::TRP::Servers qw/ echo_datagrams /;

our @EXPORT = qw/ interop interop_command interop_missing echo_udp /;

my $built = "$FindBin::Bin/../../objs/interop";
my $source = "$FindBin::Bin/../interop";


sub interop_command {
    my ($name, @args) = @_;

    return $name eq 'aioice'
        ? ('env', "PYTHONPATH=$built/aioice", 'PYTHONDONTWRITEBYTECODE=1',
            'python3', "$source/aioice/main.py", @args)
        : $name eq 'libnice'
        ? ('env', 'python3', "$source/libnice/main.py", @args)
        : ("$built/$name", @args);
}


sub interop_missing {
    my ($name) = @_;

    if ($name eq 'libnice') {
        return 'python3 not found' if !executable('python3');
        output(interop_command($name, 'check'));
        return $? ? 'no libnice' : undef;
    }

    return "no $name, see scripts/interop" if !-e "$built/$name";
    return;
}


sub interop {
    my ($name, @args) = @_;

    return split /\n/, output({ err => 1 }, interop_command($name, @args));
}


# sends each datagram back

sub echo_udp {
    my ($t, $port) = @_;

    my $socket = IO::Socket::INET->new(
        Proto => 'udp',
        LocalAddr => "127.0.0.1:$port",
    ) or die "can't listen on $port: $!\n";

    $t->run_daemon(\&echo_datagrams, $socket);

    close $socket;
}


1;
