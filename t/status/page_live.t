#!/usr/bin/perl

# Tests for the page of trp_status, of a relay and of an agent that come, go and
# come back: what it says is what has happened.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx;
use Test::Nginx::TRP;
use Test::Nginx::TRP::Browser;

my $missing = browser_missing();
plan(skip_all => $missing) if $missing;

my $t = Test::Nginx->new()->has(qw/ http stream stream_ssl /);
my $home = Test::Nginx->new();

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;
worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # browsers connect in advance, and nginx waits for that when it exits

    client_header_timeout 1s;

    server {
        listen 127.0.0.1:8081;

        location /trp/ {
            trp_status;
        }
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_authorized_keys authorized_keys;
    }

    upstream hub {
        trp_entry local;
    }

    server {
        trp_route %%PORT_8080%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass hub;
    }
}

EOC

$home->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    # browsers connect in advance, and nginx waits for that when it exits

    client_header_timeout 1s;

    server {
        listen 127.0.0.1:8082;

        location /trp/ {
            trp_status;
        }
    }
}

stream {
    %%TEST_GLOBALS_STREAM%%

    upstream agents {
        server 127.0.0.1:8443;
    }

    server {
        trp_reverse agents;
        trp_reverse_name home;
        trp_reverse_key reverse;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.0/8;

        proxy_pass $trp_destination;
    }
}

EOC

trp_cert($t, $home);
$t->write_file('authorized_keys', trp_keys($home, 'reverse'));
serve($home, port(8090), 'echo');

$t->run();
$home->run();
$t->plan(17 + 2);

my $relay = '127.0.0.1:' . port(8443);
my $b = Test::Nginx::TRP::Browser->new($t);

###############################################################################

sub look {
    my ($port) = @_;
    $b->open('about:blank');
    $b->open('http://127.0.0.1:' . port($port) . '/trp/');
}


# waits until a cell of the row with this name matches; it is made to read at
# once, not after a pause

sub becomes {
    my ($table, $name, $label, $re) = @_;

    my $found = $b->wait(<<"EOS");
        page.soon(0), [ ...document.querySelectorAll('#$table tbody tr') ]
            .filter(row => row.querySelector('.opener')
                && row.querySelector('.opener').textContent === '$name')
            .map(row => row.querySelector('[data-label="$label"]').textContent)
            .some(text => /$re/.test(text))
EOS

    diag($b->value("document.getElementById('$table').innerText")) if !$found;
    return $found;
}


# the relay's view

look(8081);
ok(becomes('agents', 'home', 'State', '^up$'), 'agent is up');
ok(becomes('agents', 'home', 'Role', '^reverse$'), 'role');
ok(becomes('agents', 'home', 'Address', '^127\.0\.0\.1$'), 'address');
ok(becomes('agents', 'home', 'Tunnels', '^[1-9]\d*, [1-9]\d* idle$'),
    'tunnels');
ok(becomes('servers', $relay, 'Tunnels', '^[1-9]'), 'tunnels of the relay');
ok(becomes('workers', (worker_pids($t))[0], 'State', '^up$'), 'worker');

my $s = IO::Socket::INET->new('127.0.0.1:' . port(8080));
$s->syswrite('x' x 1000);
$s->sysread(my $echo, 1);

ok(becomes('agents', 'home', 'Streams', '^1$'), 'stream');
close $s;
ok(becomes('agents', 'home', 'Streams', '^0$'), 'stream has ended');

$home->stop();
ok(becomes('agents', 'home', 'State', '^down$'), 'agent is down');
ok(becomes('agents', 'home', 'Last loss', 'ago: .*[a-z]'), 'says why');
like($b->value('page.parts.problems.innerText'), qr/^1 agent down: home/m,
    'wants attention');

$home->run();
ok(becomes('agents', 'home', 'State', '^up$'), 'agent is back');
is_deeply([ $b->complaints() ], [], 'no complaints');

# the agent's view

look(8082);
ok(becomes('relays', $relay, 'State', '^up$'), 'relay is up');
$t->stop();
ok(becomes('relays', $relay, 'State', '^(?:waiting|dialing|down)$'),
    'relay is down');
ok(becomes('relays', $relay, 'Last error', 'refused'), 'says why');
$t->run();
ok(becomes('relays', $relay, 'State', '^up$'), 'relay is back');

###############################################################################
