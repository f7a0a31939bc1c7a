package Test::Nginx::TRP::Coturn;

# The command line of coturn's server, for tests and benchmarks.
#
#     exec turnserver(qw/ --no-cli --lt-cred-mech -u user:pass /, '-p', $port);

use strict;
use warnings;

use Exporter qw/ import /;

our @EXPORT = qw/ turnserver /;

# Versions after 4.6 have these turned off by default, and no longer know the
# options that do it.

my %old = map { $_ => 1 } qw/ --no-cli --no-dtls /;
my $help;


sub turnserver {
    my (@options) = @_;

    $help = qx/turnserver --help 2>&1/ if !defined $help;

    return ('turnserver', '-n',
        grep { !$old{$_} || $help =~ /^\s*\Q$_\E\s/m } @options);
}


1;
