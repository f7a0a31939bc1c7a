#!/usr/bin/perl

# Tests for the answers of "trp_status" in an nginx without anything to show:
# names, methods, headers.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Test::Nginx qw/ :DEFAULT http_content /;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ http /);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    access_log off;

    server {
        listen 127.0.0.1:8080;

        location /trp/ {
            trp_status;
        }

        location /plain {
            trp_status;
        }

        location = /numbers/metrics {
            trp_status;
        }

        location ~ ^/re/\w+/ {
            trp_status;
        }

        location /rewritten/ {
            rewrite ^/rewritten/(.*) /numbers/$1 break;
            trp_status;
        }

        location /if/ {
            if ($request_method = GET) {
                set $a b;
            }

            trp_status;
        }

        location = /if/exact/metrics {
            if ($request_method = GET) {
                set $a b;
            }

            trp_status;
        }

        location ~ ^/if/regex/.*$ {
            if ($request_method = GET) {
                set $a b;
            }

            trp_status;
        }

        location /except/ {
            limit_except POST {
                allow all;
            }

            trp_status;
        }

        location /named/ {
            try_files /none @named;
        }

        location @named {
            trp_status;
        }

        location /closed/ {
            trp_status;
            deny all;
        }
    }

    server {
        listen 127.0.0.1:8081;

        location "" {
            trp_status;
        }
    }
}

EOC

$t->plan(35);
$t->run();

my $json = http_get('/trp/status.json');

like($json, qr!^HTTP/1\.0 200 |^HTTP/1\.1 200 !, 'json');
like($json, qr!^Content-Type: application/json\r!m, 'type of json');
like($json, qr!^Cache-Control: no-store\r!m, 'no cache keeps it');
like($json, qr!^X-Content-Type-Options: nosniff\r!m, 'its type is what it says');
like($json, qr!"version":1,.*"agents":\[\].*^\}\n\z!ms, 'json is whole');

my $metrics = http_get('/trp/metrics');

like($metrics, qr!^HTTP/1\.[01] 200 !, 'metrics');
like($metrics, qr!^Content-Type: text/plain; version=0\.0\.4; charset=utf-8\r!m,
    'type of metrics');
like($metrics, qr!^trp_info\{version="[\d.]+",nginx="[\d.]+"\} 1\n!m,
    'versions');

# names

like(http_get('/trp/other'), qr/^HTTP\S+ 404 /, 'other name');
like(http_get('/trp/metrics/'), qr/^HTTP\S+ 404 /, 'a name and a slash');
like(http_get('/trp/a/metrics'), qr/^HTTP\S+ 404 /, 'a name below');
like(http_get('/trp'), qr!^HTTP\S+ 301 .*^Location: \S+/trp/\r!ms, 'no slash');
like(http_get('/plain?a=b'), qr!^HTTP\S+ 301 .*^Location: \S+/plain/\?a=b\r!ms,
    'no slash, and none in the location');
like(http_get('/plain/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'location without a slash');
like(http_get('/plainmetrics'), qr/^HTTP\S+ 404 /, 'another word');
like(http_get('/numbers/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'exact location');
like(http_get('/re/x/status.json'), qr/^HTTP\S+ 200 .*"version"/ms,
    'location of a regex');

like(http_get('/named/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'named location');
like(http_get('/rewritten/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'rewritten');
like(http_get('/rewritten/'), qr/^HTTP\S+ 200 .*<!DOCTYPE/ms,
    'rewritten, the page');
like(http_get('/if/'), qr/^HTTP\S+ 200 .*<!DOCTYPE/ms, 'if');
like(http_get('/if/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'if, a name');
like(http_get('/if/exact/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'if in an exact location');
like(http_get('/if/regex/status.json'), qr/^HTTP\S+ 200 .*"version"/ms,
    'if in a location of a regex');
like(http_get('/except/metrics'), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'limit_except');
like(http_get('/except'), qr!^HTTP\S+ 301 .*^Location: \S+/except/\r!ms,
    'limit_except, no slash');

my $empty = '127.0.0.1:' . port(8081);

like(http_get('/metrics', PeerAddr => $empty), qr/^HTTP\S+ 200 .*^trp_info/ms,
    'empty location');
like(http_get('/', PeerAddr => $empty), qr/^HTTP\S+ 200 .*<!DOCTYPE/ms,
    'empty location, the page');

# methods and versions

like(http_head('/trp/metrics'), qr/^HTTP\S+ 200 (?!.*trp_info)/ms, 'HEAD');
like(request('POST', '1.0'), qr/^HTTP\S+ 405 /, 'POST');
like(request('PUT', '1.0'), qr/^HTTP\S+ 405 /, 'PUT');
unlike(request('GET', '1.0'), qr/^Transfer-Encoding/mi, 'HTTP/1.0');

my $two = http(join '', map {
    "GET /trp/$_ HTTP/1.1\r\nHost: a\r\n"
        . ($_ eq 'metrics' ? "Connection: close\r\n" : '') . "\r\n"
} qw/ status.json metrics /);

is(() = $two =~ /^HTTP\S+ 200 /mg, 2, 'two on one connection');
like($two, qr/\r\n0\r\n\r\nHTTP.*\r\n0\r\n\r\n\z/s, 'both end');

like(http_get('/closed/metrics'), qr/^HTTP\S+ 403 /, 'access rules');


sub request {
    my ($method, $version) = @_;

    return http("$method /trp/metrics HTTP/$version\r\nHost: a\r\n"
        . "Content-Length: 0\r\n\r\n");
}
