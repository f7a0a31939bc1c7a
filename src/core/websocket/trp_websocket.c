
/*
 * Copyright (C) the trp authors
 */


/*
 * Frames of a WebSocket.  Payload is moved at most once, and is masked on the
 * way.
 */


#include <string.h>

#include "websocket/trp_websocket.h"


#define TRP_WEBSOCKET_FIN     0x80
#define TRP_WEBSOCKET_RSV     0x70
#define TRP_WEBSOCKET_OPCODE  0x0f
#define TRP_WEBSOCKET_MASKED  0x80
#define TRP_WEBSOCKET_LEN     0x7f

#define TRP_WEBSOCKET_LEN16   126
#define TRP_WEBSOCKET_LEN64   127


static int trp_websocket_read_head(trp_websocket_t *ws, uint8_t **src,
    uint8_t *end);
static int trp_websocket_begin(trp_websocket_t *ws);
static int trp_websocket_check(trp_websocket_t *ws, unsigned first);
static uint64_t trp_websocket_len(const trp_websocket_t *ws);
static int trp_websocket_end(trp_websocket_t *ws);
static int trp_websocket_check_close(trp_websocket_t *ws);
static int trp_websocket_invalid(trp_websocket_t *ws, uint16_t code);


int
trp_websocket_read(trp_websocket_t *ws, uint8_t **dst, uint8_t **src,
    uint8_t *end)
{
    int       rc;
    size_t    n;
    uint8_t  *p;

    while (*src < end || (ws->payload && ws->left == 0)) {

        if (!ws->payload) {
            rc = trp_websocket_read_head(ws, src, end);

            if (rc != TRP_OK) {
                return (rc == TRP_AGAIN) ? TRP_OK : rc;
            }

            continue;
        }

        n = (size_t) (end - *src);

        if (n > ws->left) {
            n = (size_t) ws->left;
        }

        if (ws->opcode < TRP_WEBSOCKET_CLOSE) {
            p = *dst;
            *dst += n;

        } else {
            p = ws->control + ws->len;
            ws->len = (uint8_t) (ws->len + n);
        }

        if (ws->server) {
            trp_websocket_mask(p, *src, n, ws->mask);

        } else if (p != *src) {
            memmove(p, *src, n);
        }

        *src += n;
        ws->left -= n;

        if (ws->left) {
            break;
        }

        rc = trp_websocket_end(ws);

        if (rc != TRP_OK) {
            return rc;
        }
    }

    return TRP_OK;
}


/* TRP_AGAIN: it is incomplete */

static int
trp_websocket_read_head(trp_websocket_t *ws, uint8_t **src, uint8_t *end)
{
    size_t  need;

    while (*src < end) {
        ws->head[ws->have++] = *(*src)++;

        if (ws->have < 2) {
            continue;
        }

        if (ws->have == 2 && trp_websocket_check(ws, ws->head[0]) != TRP_OK) {
            return TRP_ERROR;
        }

        need = ws->server ? 2 + TRP_WEBSOCKET_MASK : 2;

        switch (ws->head[1] & TRP_WEBSOCKET_LEN) {

        case TRP_WEBSOCKET_LEN16:
            need += 2;
            break;

        case TRP_WEBSOCKET_LEN64:
            need += 8;
        }

        if (ws->have == need) {
            return trp_websocket_begin(ws);
        }
    }

    return TRP_AGAIN;
}


/* the header is complete */

static int
trp_websocket_begin(trp_websocket_t *ws)
{
    ws->left = trp_websocket_len(ws);

    if (ws->left >> 63) {
        return trp_websocket_invalid(ws, TRP_WEBSOCKET_PROTOCOL);
    }

    if (ws->server) {
        memcpy(ws->mask, ws->head + ws->have - TRP_WEBSOCKET_MASK,
               TRP_WEBSOCKET_MASK);
    }

    ws->have = 0;
    ws->len = 0;
    ws->payload = 1;

    return TRP_OK;
}


/* the first two bytes of a header */

static int
trp_websocket_check(trp_websocket_t *ws, unsigned first)
{
    unsigned  opcode;

    opcode = first & TRP_WEBSOCKET_OPCODE;
    ws->opcode = (uint8_t) opcode;

    if ((first & TRP_WEBSOCKET_RSV)
        || ((ws->head[1] & TRP_WEBSOCKET_MASKED) != 0) != ws->server)
    {
        return trp_websocket_invalid(ws, TRP_WEBSOCKET_PROTOCOL);
    }

    switch (opcode) {

    case TRP_WEBSOCKET_CLOSE:
    case TRP_WEBSOCKET_PING:
    case TRP_WEBSOCKET_PONG:

        if (!(first & TRP_WEBSOCKET_FIN)
            || (ws->head[1] & TRP_WEBSOCKET_LEN) > TRP_WEBSOCKET_CONTROL)
        {
            break;
        }

        return TRP_OK;

    case TRP_WEBSOCKET_TEXT:
        return trp_websocket_invalid(ws, TRP_WEBSOCKET_UNSUPPORTED);

    case TRP_WEBSOCKET_MORE:
    case TRP_WEBSOCKET_BINARY:

        if (ws->message != (opcode == TRP_WEBSOCKET_MORE)) {
            break;
        }

        ws->message = !(first & TRP_WEBSOCKET_FIN);

        return TRP_OK;
    }

    return trp_websocket_invalid(ws, TRP_WEBSOCKET_PROTOCOL);
}


static uint64_t
trp_websocket_len(const trp_websocket_t *ws)
{
    size_t    i, n;
    uint64_t  len;

    len = ws->head[1] & TRP_WEBSOCKET_LEN;

    if (len < TRP_WEBSOCKET_LEN16) {
        return len;
    }

    n = (len == TRP_WEBSOCKET_LEN16) ? 2 : 8;
    len = 0;

    for (i = 0; i < n; i++) {
        len = len << 8 | ws->head[2 + i];
    }

    return len;
}


/* of a frame */

static int
trp_websocket_end(trp_websocket_t *ws)
{
    ws->payload = 0;

    if (ws->opcode < TRP_WEBSOCKET_CLOSE) {
        return TRP_OK;
    }

    if (ws->opcode == TRP_WEBSOCKET_CLOSE
        && trp_websocket_check_close(ws) != TRP_OK)
    {
        return TRP_ERROR;
    }

    return TRP_DECLINED;
}


/* codes that are never on the wire are not told apart: nobody acts on them */

static int
trp_websocket_check_close(trp_websocket_t *ws)
{
    if (ws->len == 1) {
        return trp_websocket_invalid(ws, TRP_WEBSOCKET_PROTOCOL);
    }

    ws->code = TRP_WEBSOCKET_NO_CODE;

    if (ws->len) {
        ws->code = (uint16_t) (ws->control[0] << 8 | ws->control[1]);
    }

    return TRP_OK;
}


static int
trp_websocket_invalid(trp_websocket_t *ws, uint16_t code)
{
    ws->code = code;

    return TRP_ERROR;
}


size_t
trp_websocket_head(uint8_t *p, unsigned opcode, uint64_t len,
    const uint8_t *mask)
{
    size_t    i, n;
    uint8_t  *start;

    start = p;

    *p++ = (uint8_t) (TRP_WEBSOCKET_FIN | opcode);

    if (len < TRP_WEBSOCKET_LEN16) {
        *p++ = (uint8_t) len;
        n = 0;

    } else if (len <= 0xffff) {
        *p++ = TRP_WEBSOCKET_LEN16;
        n = 2;

    } else {
        *p++ = TRP_WEBSOCKET_LEN64;
        n = 8;
    }

    for (i = n; i > 0; i--) {
        *p++ = (uint8_t) (len >> (8 * (i - 1)));
    }

    if (mask) {
        start[1] |= TRP_WEBSOCKET_MASKED;
        memcpy(p, mask, TRP_WEBSOCKET_MASK);
        p += TRP_WEBSOCKET_MASK;
    }

    return (size_t) (p - start);
}


/*
 * Words are read before those in their place are written, so that it does not
 * matter how near "dst" is before "src".
 */

void
trp_websocket_mask(uint8_t *dst, const uint8_t *src, size_t len, uint8_t *mask)
{
    size_t    i;
    uint8_t   turned[TRP_WEBSOCKET_MASK];
    uint64_t  m, w0, w1, w2, w3;

    memcpy(&m, mask, 4);
    memcpy((uint8_t *) &m + 4, mask, 4);

    for ( /* void */ ; len >= 32; len -= 32) {
        memcpy(&w0, src, 8);
        memcpy(&w1, src + 8, 8);
        memcpy(&w2, src + 16, 8);
        memcpy(&w3, src + 24, 8);

        w0 ^= m;
        w1 ^= m;
        w2 ^= m;
        w3 ^= m;

        memcpy(dst, &w0, 8);
        memcpy(dst + 8, &w1, 8);
        memcpy(dst + 16, &w2, 8);
        memcpy(dst + 24, &w3, 8);

        src += 32;
        dst += 32;
    }

    for (i = 0; i < len; i++) {
        dst[i] = src[i] ^ mask[i % TRP_WEBSOCKET_MASK];
    }

    for (i = 0; i < TRP_WEBSOCKET_MASK; i++) {
        turned[i] = mask[(i + len) % TRP_WEBSOCKET_MASK];
    }

    memcpy(mask, turned, TRP_WEBSOCKET_MASK);
}
