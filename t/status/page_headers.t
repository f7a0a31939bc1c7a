#!/usr/bin/perl

# Tests for the page of trp_status: what the answer allows a browser to do, and
# that the browser need not fetch it again.

use strict;
use warnings;

use Test::More;

BEGIN { use FindBin; chdir $FindBin::Bin; push @INC, '../lib'; }

use Digest::SHA qw/ sha256_base64 /;

use Test::Nginx;
use Test::Nginx::TRP;

my $t = Test::Nginx->new()->has(qw/ http /)->plan(19);

$t->write_file_expand('nginx.conf', <<'EOC');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        location /trp/ {
            trp_status;
        }

        location /zip/ {
            trp_status;
            gzip on;
            gzip_http_version 1.0;
        }
    }
}

EOC

$t->run();

###############################################################################

my ($head, $page) = split /\r\n\r\n/, http_get('/trp/'), 2;

sub header {
    my ($name) = @_;
    my ($value) = $head =~ /^\Q$name\E: (.*?)\r?$/mi;
    return $value;
}


sub sources {
    my ($tag) = @_;
    return join ' ', map { "'sha256-" . sha256_base64($_) . "='" }
        $page =~ m!<$tag>(.*?)</$tag>!sg;
}


like($head, qr!^HTTP/1\.1 200 !, 'status');
is(header('Content-Type'), 'text/html; charset=utf-8', 'type');
is(header('Content-Length'), length $page, 'length');
like($page, qr{\A<!DOCTYPE html>.*</html>\n\z}s, 'the page is complete');

# nothing but the page's own style and scripts; and these make no markup

is(header('Content-Security-Policy'), join('; ', "default-src 'none'",
    'script-src ' . sources('script'), 'style-src ' . sources('style'),
    "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    "form-action 'none'", "require-trusted-types-for 'script'",
    "trusted-types 'none'"), 'policy');

is(header('X-Content-Type-Options'), 'nosniff', 'nosniff');
is(header('X-Frame-Options'), 'DENY', 'no frame');
is(header('Referrer-Policy'), 'no-referrer', 'no referrer');
is(header('Cross-Origin-Resource-Policy'), 'same-origin', 'same origin');
is(header('Cache-Control'), 'no-cache', 'asked for each time');

unlike($page, qr/\b(?:src|srcset|action)\s*=|[@]import|url\(/,
    'no other resource');
unlike($page, qr{https?:(?!//www\.w3\.org/)}, 'no other address');
unlike($page, qr/\b(?:inner|outer)HTML|insertAdjacentHTML|document\.write|
    \beval\b|new\ Function/x, 'no markup from text');
unlike($page, qr/\bon[a-z]+=|\bstyle=/, 'no scripts or styles in attributes');

my $etag = header('ETag');
my $same = http(<<EOF);
GET /trp/ HTTP/1.0
Host: localhost
If-None-Match: $etag

If-None-Match: $etag

EOF

like($same, qr!^HTTP/1\.1 304 !, 'not modified');
like($same, qr/^Content-Security-Policy: /m, 'policy of what is kept');

my $only = http_head('/trp/');

like($only, qr/^Content-Length: ${\length $page}\r?$/m, 'HEAD has the length');
like($only, qr/\r\n\r\n\z/, 'and no body');

my $zip = http(<<EOF);
GET /zip/ HTTP/1.0
Host: localhost
Accept-Encoding: gzip

EOF

like($zip, qr/^Content-Encoding: gzip.*\r\n\r\n\x1f\x8b/ms, 'gzip');

###############################################################################
