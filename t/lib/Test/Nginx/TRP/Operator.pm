package Test::Nginx::TRP::Operator;

# What an nginx says of itself, and a relay that says it.
#
#     status_relay_conf($t, workers => 2, zone => 'trp 64k', relay => '...');
#
#     my $status = status($t);                    what the JSON says
#     my $agent = agent_is($t, { role => 'entry', up => 1 });
#
# The port of the status is 8099, that of the relay 8443.

use strict;
use warnings;

use Exporter qw/ import /;

use Test::Nginx;
use Test::Nginx::TRP::Client;
use Test::Nginx::TRP::Rows;
use Test::Nginx::TRP::Waiting;

our @EXPORT = qw/ status_relay_conf status metrics row_is rows_of raw_agent /;


# A relay, and a route of users of its own nginx, 8080 to 8090 of the reverse's
# machine.  More settings: "main", "events", "stream", "relay".

sub status_relay_conf {
    my ($t, %conf) = @_;
    my $more = sub { $conf{$_[0]} // '' };
    my $workers = $conf{workers} || 1;
    my $zone = $conf{zone} ? "trp_relay_zone $conf{zone};" : '';

    $t->write_file_expand('nginx.conf', <<"EOC");

%%TEST_GLOBALS%%

daemon off;
worker_processes $workers;
@{[ $more->('main') ]}

events {
    @{[ $more->('events') ]}
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    server {
        listen 127.0.0.1:8099;

        location /trp/ {
            trp_status;
        }
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;

    $zone

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
        @{[ $more->('relay') ]}
    }

    @{[ $more->('stream') ]}
}

EOC
}


sub status {
    my ($path) = @_;

    return status_json(http_get($path || '/trp/status.json',
        PeerAddr => '127.0.0.1:' . port(8099)));
}


sub metrics {
    return status_metrics(http_get('/trp/metrics',
        PeerAddr => '127.0.0.1:' . port(8099)));
}


# the rows of a kind that have these values

sub rows_of {
    my ($kind, $want) = @_;
    my $rows = status()->{$kind};

    return grep {
        my $row = $_;
        !grep { !_same($row->{$_}, $want->{$_}) } keys %$want;
    } @$rows;
}


# waits for a row like this, and returns it

sub row_is {
    my ($kind, $want, %opts) = @_;

    return wait_for(sub { (rows_of($kind, $want))[0] }, $opts{timeout});
}


# An agent of the relay, in the worker of its group; options as for agent() of
# Test::Nginx::TRP::Client, but for the port.

sub raw_agent {
    my (%opts) = @_;

    for (1 .. 5) {
        my $c = Test::Nginx::TRP::Client->new(port => port(8443));
        my $frame = $c->login(role => 'reverse', %opts);

        return $c if $frame && $frame->{type} eq 'READY';
        die "no tunnel\n" if !$frame || $frame->{type} ne 'MOVED';
    }

    die "always moved\n";
}


sub _same {
    my ($got, $want) = @_;

    return !defined $got if !defined $want;
    return ref $want eq 'CODE' ? $want->($got // 0)
        : defined $got && (ref $want ? $got =~ $want : $got eq $want);
}


1;
