
/*
 * Copyright (C) the trp authors
 */


/* frames of a WebSocket, whole and in pieces */


#include <stdlib.h>

#include "tap.h"

#include "websocket/trp_websocket.h"


#define BYTES  70000


static trp_websocket_t  ws;
static uint8_t          in[2 * BYTES];
static uint8_t          out[2 * BYTES];


/* the result, and the payload in "out" */

static int
get(const void *bytes, size_t len, size_t *size)
{
    int       rc;
    uint8_t  *dst, *src;

    memcpy(out, bytes, len);

    dst = out;
    src = out;

    rc = trp_websocket_read(&ws, &dst, &src, out + len);

    *size = (size_t) (dst - out);

    return rc;
}


static void
start(int server)
{
    memset(&ws, 0, sizeof(ws));
    ws.server = (server != 0);
}


static void
test_rfc(void)
{
    size_t         n;
    const uint8_t  binary[] = { 0x82, 5, 'H', 'e', 'l', 'l', 'o' };
    const uint8_t  masked[] = { 0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f,
                                0x9f, 0x4d, 0x51, 0x58 };
    const uint8_t  pieces[] = { 0x02, 3, 'H', 'e', 'l',
                                0x89, 2, 'h', 'i', 0x80, 2, 'l', 'o' };

    /* section 5.7 */

    start(0);
    is_int(get(binary, sizeof(binary), &n), TRP_OK, "a frame");
    ok(n == 5 && memcmp(out, "Hello", 5) == 0, "its payload");

    start(1);
    is_int(get(masked, sizeof(masked), &n), TRP_OK, "a masked frame");
    ok(n == 5 && memcmp(out, "Hello", 5) == 0, "its payload");

    start(0);
    is_int(get(pieces, sizeof(pieces), &n), TRP_DECLINED, "a ping between");
    is_int(n, 3, "what came before");
    is_int(ws.opcode, TRP_WEBSOCKET_PING, "its opcode");
    ok(ws.len == 2 && memcmp(ws.control, "hi", 2) == 0, "its payload");

    is_int(get(pieces + 9, 4, &n), TRP_OK, "what follows");
    ok(n == 2 && memcmp(out, "lo", 2) == 0, "its payload");
}


static void
test_close(void)
{
    size_t  n;

    start(0);
    is_int(get("\x88\x02\x03\xe9", 4, &n), TRP_DECLINED, "close");
    is_int(ws.code, TRP_WEBSOCKET_GOING_AWAY, "its code");

    start(0);
    is_int(get("\x88\x00", 2, &n), TRP_DECLINED, "without a code");
    is_int(ws.code, TRP_WEBSOCKET_NO_CODE, "this is a code");

    start(0);
    is_int(get("\x88\x01\x03", 3, &n), TRP_ERROR, "half of a code");
}


static void
bad(int server, const char *bytes, size_t len, int code, const char *name)
{
    size_t  n;

    start(server);
    is_int(get(bytes, len, &n), TRP_ERROR, "%s", name);
    is_int(ws.code, code, "code");
}


static void
test_bad(void)
{
    size_t  n;

    bad(0, "\x81\x01x", 3, TRP_WEBSOCKET_UNSUPPORTED, "text");
    bad(0, "\xc2\x01x", 3, TRP_WEBSOCKET_PROTOCOL, "a reserved bit");
    bad(0, "\x83\x01x", 3, TRP_WEBSOCKET_PROTOCOL, "a reserved opcode");
    bad(0, "\x8b\x00", 2, TRP_WEBSOCKET_PROTOCOL, "one of control frames");
    bad(0, "\x82\x81xxxxx", 7, TRP_WEBSOCKET_PROTOCOL, "masked by a server");
    bad(1, "\x82\x01x", 3, TRP_WEBSOCKET_PROTOCOL, "not masked by a client");
    bad(0, "\x09\x00", 2, TRP_WEBSOCKET_PROTOCOL, "a ping in pieces");
    bad(0, "\x89\x7e\x00\x7e", 4, TRP_WEBSOCKET_PROTOCOL, "a long ping");
    bad(0, "\x80\x01x", 3, TRP_WEBSOCKET_PROTOCOL, "more of no message");
    bad(0, "\x82\x7f\x80\0\0\0\0\0\0\0", 10, TRP_WEBSOCKET_PROTOCOL,
        "the most significant bit");

    start(0);
    is_int(get("\x02\x01x", 3, &n), TRP_OK, "a message in pieces");
    is_int(get("\x82\x01x", 3, &n), TRP_ERROR, "another one in it");
}


/* frames of all kinds of lengths, in pieces of all kinds, with pings */

static void
test_pieces(void)
{
    size_t          i, n, pos, len, step, got, pings, wrong;
    uint8_t         mask[4], turned[4], *p, *dst, *src, buf[512];
    const uint8_t  *key;
    int             rc, server;

    static const size_t  lens[] = { 0, 1, 31, 125, 126, 127, 300, 65535, 65536,
                                    2, 0 };
    static uint8_t       want[2 * BYTES];

    for (i = 0; i < sizeof(want); i++) {
        want[i] = (uint8_t) rand();
    }

    wrong = 0;

    for (server = 0; server < 2; server++) {
        for (step = 1; step < 400; step += (step < 20) ? 1 : 37) {
            p = in;
            pos = 0;
            key = server ? mask : NULL;

            for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
                len = lens[i];

                memcpy(mask, want + i, 4);
                p += trp_websocket_head(p, TRP_WEBSOCKET_PING, 3, key);
                memcpy(p, "abc", 3);

                if (server) {
                    trp_websocket_mask(p, p, 3, mask);
                }

                p += 3;

                memcpy(mask, want + 2 * i, 4);
                p += trp_websocket_head(p, TRP_WEBSOCKET_BINARY, len, key);
                memcpy(p, want + pos, len);

                if (server) {
                    memcpy(turned, mask, 4);
                    n = len / 3;
                    trp_websocket_mask(p, p, n, turned);
                    trp_websocket_mask(p + n, p + n, len - n, turned);
                }

                p += len;
                pos += len;
            }

            start(server);
            got = 0;
            pings = 0;

            for (i = 0; i < (size_t) (p - in); i += n) {
                n = (size_t) (p - in) - i;

                if (n > step) {
                    n = step;
                }

                memcpy(buf, in + i, n);
                dst = buf;
                src = buf;

                while ((rc = trp_websocket_read(&ws, &dst, &src, buf + n))
                       == TRP_DECLINED)
                {
                    pings += (ws.len == 3 && memcmp(ws.control, "abc", 3) == 0);
                }

                len = (size_t) (dst - buf);

                if (rc != TRP_OK || memcmp(buf, want + got, len) != 0) {
                    wrong++;
                    break;
                }

                got += len;
            }

            wrong += (got != pos || pings != sizeof(lens) / sizeof(lens[0]));
        }
    }

    is_int(wrong, 0, "all as it was written");
}


static void
test_mask(void)
{
    size_t   i, n, from, wrong;
    uint8_t  a[300], b[300], mask[4];

    wrong = 0;

    for (n = 0; n < 200; n++) {
        for (from = 0; from < 40; from++) {

            for (i = 0; i < sizeof(a); i++) {
                a[i] = (uint8_t) rand();
            }

            memcpy(b, a, sizeof(a));
            memcpy(mask, "\x01\x20\x83\xff", 4);

            trp_websocket_mask(b, b + from, n, mask);

            for (i = 0; i < n; i++) {
                wrong += (b[i] != (a[from + i]
                                   ^ (uint8_t) "\x01\x20\x83\xff"[i % 4]));
            }

            wrong += (mask[0] != (uint8_t) "\x01\x20\x83\xff"[n % 4]);
        }
    }

    is_int(wrong, 0, "masked on the way to a place before");
}


int
main(void)
{
    test_rfc();
    test_close();
    test_bad();
    test_pieces();
    test_mask();

    return done_testing();
}
