
/*
 * Copyright (C) the trp authors
 */


/* a request for a WebSocket, and the answer to it */


#include "tap.h"

#include "websocket/trp_upgrade.h"


#define ACCEPT  "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define GOOD                                                                  \
    "HTTP/1.1 101 Switching Protocols\r\n"                                    \
    "upgrade: WebSocket\r\n"                                                  \
    "Connection: keep-alive, Upgrade\r\n"                                     \
    "Sec-WebSocket-Accept:  " ACCEPT " \r\n"


static const trp_str_t  none;

static trp_upgrade_t  u;
static size_t         head;


static int
parse(const char *s)
{
    trp_str_t  text;

    text.data = (const uint8_t *) s;
    text.len = strlen(s);
    head = 0;

    return trp_upgrade_parse(&u, text, &head);
}


static int
check(const char *s, const char *accept)
{
    trp_str_t  text;

    if (parse(s) != TRP_OK) {
        return TRP_AGAIN;
    }

    text.data = (const uint8_t *) accept;
    text.len = strlen(accept);

    return trp_upgrade_check(&u, text, none);
}


static void
test_good(void)
{
    size_t      i;
    trp_str_t   text;
    const char  good[] = GOOD "\r\n";

    is_int(check(GOOD "\r\n\x81\x02hi", ACCEPT), TRP_OK, "as the RFC has it");
    is_int(head, sizeof(GOOD) - 1 + 2, "where frames begin");
    is_int(u.status, 101, "status");

    is_int(check(GOOD "Sec-WebSocket-Protocol:\r\n\r\n", ACCEPT), TRP_OK,
           "no protocol");

    text.data = (const uint8_t *) good;

    for (i = 0; i < sizeof(good) - 1; i++) {
        text.len = i;
        if (trp_upgrade_parse(&u, text, &head) != TRP_AGAIN) {
            break;
        }
    }

    is_int(i, sizeof(good) - 1, "each byte is waited for");
}


static void
test_bad(void)
{
    is_int(check(GOOD "\r\n", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="), TRP_ERROR,
           "another key");
    is_int(check("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                 "x"),
           TRP_ERROR, "another status");
    is_int(check("HTTP/1.1 101 OK\r\nUpgrade: websockets\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                 "x"),
           TRP_ERROR, "another protocol");
    is_int(check("HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n"
                 "Connection: close\r\nSec-WebSocket-Accept: x\r\n\r\n", "x"),
           TRP_ERROR, "no upgrade");
    is_int(check("HTTP/1.1 101 OK\r\n\r\n", ""), TRP_ERROR, "no headers");
    is_int(check(GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                 ACCEPT),
           TRP_ERROR, "an extension that was not asked for");
    is_int(check(GOOD "sec-websocket-protocol: chat\r\n\r\n", ACCEPT),
           TRP_ERROR, "a protocol that was not asked for");

    is_int(parse("HTTP/2 200\r\n\r\n"), TRP_ERROR, "another HTTP");
    is_int(parse("SSH-2.0-OpenSSH\r\n"), TRP_ERROR, "no HTTP");
    is_int(parse("HTTP/1.1 99 OK\r\n"), TRP_ERROR, "a short status");
    is_int(parse("HTTP/1.1 20a OK\r\n"), TRP_ERROR, "a wrong status");
    is_int(parse("HTTP/1.1\r\n"), TRP_ERROR, "no status");
    is_int(parse("\n"), TRP_ERROR, "a line's end alone");
    is_int(parse("HTTP/1.1 200 OK\nA: b\n\n"), TRP_ERROR, "lines without CR");
    is_int(parse("HTTP/1.1 200 OK\r\nnothing\r\n\r\n"), TRP_ERROR,
           "a header without a value");
    is_int(parse("HTTP/1.1 200 OK\r\n: x\r\n\r\n"), TRP_ERROR,
           "a header without a name");
    is_int(parse("HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n"), TRP_ERROR,
           "a folded header");
}


static void
test_refused(void)
{
    char  buf[64];

    is_int(parse("HTTP/1.1 429 Too Many Requests\r\n"
                 "retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\n<html>"),
           TRP_OK, "refused");
    is_int(u.status, 429, "status");

    snprintf(buf, sizeof(buf), "%.*s", (int) u.later.len,
             (const char *) u.later.data);
    is_str(buf, "Fri, 31 Dec 1999 23:59:59 GMT", "Retry-After");

    is_int(parse("HTTP/1.0 401\r\n\r\n"), TRP_OK, "no more than a status");
    is_int(u.status, 401, "which is this");
    is_int(u.later.len, 0, "no Retry-After");
}


#define REQUEST                                                               \
    "GET /a?b HTTP/1.1\r\n"                                                   \
    "Host: example.org\r\n"                                                   \
    "Upgrade: h2c, websocket\r\n"                                             \
    "Connection: Upgrade\r\n"                                                 \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                         \
    "Sec-WebSocket-Version: 13\r\n"


static trp_upgrade_request_t  r;


static int
request(const char *s)
{
    trp_str_t  text;

    text.data = (const uint8_t *) s;
    text.len = strlen(s);
    head = 0;

    return trp_upgrade_request(&r, text, &head);
}


static unsigned
status(const char *s)
{
    return (request(s) == TRP_OK) ? trp_upgrade_request_check(&r) : 0;
}


static void
test_request(void)
{
    char  buf[64];

    is_int(status(REQUEST "Sec-WebSocket-Protocol: trp.2, trp-slot-07\r\n"
                  "\r\nrest"),
           101, "a request");
    is_int(r.slot, 7, "its hint");
    is_int(head, sizeof(REQUEST) - 1
                 + sizeof("Sec-WebSocket-Protocol: trp.2, trp-slot-07\r\n") - 1
                 + 2, "where it ends");

    snprintf(buf, sizeof(buf), "%.*s", (int) r.path.len,
             (const char *) r.path.data);
    is_str(buf, "/a?b", "path");

    is_int(status(REQUEST "Sec-WebSocket-Protocol: trp-slot-63\r\n"
                  "sec-websocket-protocol: trp.2\r\n\r\n"),
           101, "two lines");
    is_int(r.slot, 63, "hint");

    is_int(status(REQUEST "Sec-WebSocket-Protocol: trp.2, trp-slot-64,"
                  "trp-slot-1,trp-slot-xx, trp-slot-\r\n\r\n"),
           101, "no hints");
    is_int(r.slot, TRP_DECLINED, "none");

    is_int(status(REQUEST "\r\n"), 400, "no protocol");
    is_int(status(REQUEST "Sec-WebSocket-Protocol: trp.3\r\n\r\n"), 400,
           "another one");
    is_int(request(REQUEST), TRP_AGAIN, "incomplete");
    is_int(status("GET / HTTP/1.1\r\n\r\n"), 426, "no upgrade");
    is_int(status("GET / HTTP/1.0\r\n\r\n"), 505, "an older version");
    is_int(status("POST / HTTP/1.1\r\n\r\n"), 405, "another method");
    is_int(request("GET /\r\n\r\n"), TRP_ERROR, "no version");
    is_int(request("GET / HTTP/2.0\r\n\r\n"), TRP_ERROR, "a newer version");
    is_int(request("\r\n"), TRP_ERROR, "nothing");

    (void) request(REQUEST "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n"
                   "x-forwarded-for:2001:db8::1,  192.0.2.3 \r\n\r\n");

    snprintf(buf, sizeof(buf), "%.*s", (int) r.forwarded.len,
             (const char *) r.forwarded.data);
    is_str(buf, "192.0.2.3", "the last address");
}


int
main(void)
{
    test_request();
    test_good();
    test_bad();
    test_refused();

    return done_testing();
}
