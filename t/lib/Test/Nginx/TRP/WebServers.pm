package Test::Nginx::TRP::WebServers;

# Web servers of Debian, between agents and a relay: "/trp" leads to it.  They
# have web.crt and web.key of the test's directory, for TLS on one port, and
# none on the other one.
#
#     apache($t, $port, $tls, $relay);
#     haproxy($t, $port, $tls, $relay);
#
# Each returns 1 when the program listens, and nothing if it is not there.
# relay_and_agents() writes the configurations of what is at both ends.

use strict;
use warnings;

use Exporter qw/ import /;

use Test::Nginx;
use Test::Nginx::TRP::Keys;
use Test::Nginx::TRP::Programs;

our @EXPORT = qw/ apache haproxy relay_and_agents /;


sub apache {
    my ($t, $port, $tls, $relay) = @_;
    my $apache = executable('apache2') or return;
    my $dir = $t->testdir();
    my $modules = '/usr/lib/apache2/modules';
    my $load = join '', map { "LoadModule ${_}_module $modules/mod_$_.so\n" }
        qw/ mpm_event authz_core proxy proxy_http proxy_wstunnel ssl
        socache_shmcb headers /;

    $t->write_file('apache.conf', <<"EOC");
ServerRoot $dir
ServerName localhost
PidFile $dir/apache.pid
DefaultRuntimeDir $dir
ErrorLog $dir/apache.log
LogLevel warn
$load
User www-data
Group www-data
Listen 127.0.0.1:$port
Listen 127.0.0.1:$tls https
Mutex file:$dir default

ProxyPass "/trp" "ws://127.0.0.1:$relay/trp"

<VirtualHost 127.0.0.1:$tls>
SSLEngine on
SSLCertificateFile $dir/web.crt
SSLCertificateKeyFile $dir/web.key
ProxyPass "/trp" "ws://127.0.0.1:$relay/trp"
</VirtualHost>
EOC

    chmod 0755, $dir;
    $t->run_daemon($apache, '-D', 'FOREGROUND', '-f', "$dir/apache.conf");

    return $t->waitforsocket("127.0.0.1:$port");
}


sub haproxy {
    my ($t, $port, $tls, $relay) = @_;
    my $haproxy = executable('haproxy') or return;
    my $dir = $t->testdir();

    $t->write_file('web.pem', $t->read_file('web.crt')
        . $t->read_file('web.key'));

    $t->write_file('haproxy.conf', <<"EOC");
global
    maxconn 1000

defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout tunnel 10s
    option forwardfor

frontend web
    bind 127.0.0.1:$port
    bind 127.0.0.1:$tls ssl crt $dir/web.pem alpn http/1.1
    use_backend relay if { path_beg /trp }

backend relay
    server relay 127.0.0.1:$relay
EOC

    $t->run_daemon($haproxy, '-db', '-q', '-f', "$dir/haproxy.conf");

    return $t->waitforsocket("127.0.0.1:$port");
}


# A relay with two workers on 8443, which believes 127.0.0.1; a reverse that
# comes by TLS (8444), and an entry by plain HTTP (8081), of which 8082 leads to
# 8090.  "more" are more settings of the reverse.

sub relay_and_agents {
    my ($relay, $entry, $reverse, $more) = @_;

    $more //= '';

    my $head = <<'EOC';

%%TEST_GLOBALS%%

daemon off;

events {
}

stream {
    %%TEST_GLOBALS_STREAM%%

    error_log %%TESTDIR%%/error.log info;
    proxy_half_close on;

EOC

    $relay->write_file_expand('nginx.conf',
        $head =~ s/events/worker_processes 2;\n\nevents/r . <<'EOC');
    server {
        listen 127.0.0.1:8443 ssl;
        ssl_certificate localhost.crt;
        ssl_certificate_key localhost.key;
        ssl_protocols TLSv1.3;

        trp_relay;
        trp_relay_websocket on;
        trp_authorized_keys authorized_keys;
    }
}

EOC

    $entry->write_file_expand('nginx.conf', $head . <<'EOC');
    upstream relay {
        server 127.0.0.1:%%PORT_8443%%;

        trp_entry;
        trp_entry_key entry;
        trp_entry_websocket ws://127.0.0.1:%%PORT_8081%%/trp;
        trp_entry_ssl_trusted_certificate localhost.crt;
    }

    server {
        trp_route %%PORT_8082%%:%%PORT_8090%% bind=127.0.0.1;
        proxy_pass relay;
    }
}

EOC

    $reverse->write_file_expand('nginx.conf', $head . <<"EOC");
    upstream relay {
        server 127.0.0.1:%%PORT_8444%%;
    }

    server {
        trp_reverse relay;
        trp_reverse_key reverse;
        trp_reverse_websocket /trp;
        trp_reverse_websocket_ssl_trusted_certificate ca.crt;
        trp_reverse_ssl_trusted_certificate localhost.crt;
        trp_reverse_allow 127.0.0.1:%%PORT_8090%%;
        $more
        proxy_pass \$trp_destination;
    }
}

EOC

    trp_cert($relay, $entry, $reverse);
    trp_ca($relay, 'ca');
    trp_issue($relay, 'ca', 'web', names => 'DNS:localhost,IP:127.0.0.1');

    $reverse->write_file('ca.crt', $relay->read_file('ca.crt'));
    $relay->write_file('authorized_keys', trp_keys($entry, 'entry') . "\n"
        . trp_keys($reverse, 'reverse'));
}


1;
