package Test::Nginx::TRP;

# All helpers of this project's tests.  They are in five modules by subject,
# which say what each function does:
#
#     Keys       certificates and keys
#     Servers    servers that behave in known ways, listening sockets
#     Waiting    for conditions, lines of logs, other workers
#     Transfer   connections of the test's own, data that is checked
#     Processes  workers, their memory and descriptors, sockets
#
# They need only the public interface of Test::Nginx.

use strict;
use warnings;

use Exporter qw/ import /;

use Test::Nginx::TRP::Keys;
use Test::Nginx::TRP::Processes;
use Test::Nginx::TRP::Servers;
use Test::Nginx::TRP::Transfer;
use Test::Nginx::TRP::Waiting;

our @EXPORT = (
    @Test::Nginx::TRP::Keys::EXPORT,
    @Test::Nginx::TRP::Processes::EXPORT,
    @Test::Nginx::TRP::Servers::EXPORT,
    @Test::Nginx::TRP::Transfer::EXPORT,
    @Test::Nginx::TRP::Waiting::EXPORT,
);


1;
