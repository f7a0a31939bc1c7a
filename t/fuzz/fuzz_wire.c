
/*
 * Copyright (C) the trp authors
 */


/*
 * The bytes of a peer, whole and in pieces: the same frames come out, and a
 * frame that was read can be written again.
 */


#include <stdlib.h>
#include <string.h>

#include "tunnel/trp_wire.h"


#define FRAME_MAX  (TRP_HEADER_LEN + TRP_CONTROL_MAX)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* all that a reader has told; FNV-1a of the bytes of all frames */

typedef struct {
    int       rc;
    size_t    frames;
    uint32_t  hash;
} fuzz_log_t;


static void
fuzz_hash(fuzz_log_t *log, const uint8_t *p, size_t len)
{
    for ( /* void */ ; len; len--) {
        log->hash = (log->hash ^ *p++) * 16777619u;
    }
}


/* the same names: they fit into one frame, as they came in one */

static uint8_t *
fuzz_names(uint8_t *dst, const uint8_t *p, size_t len)
{
    size_t               n, put;
    uint8_t             *end;
    trp_str_t            names[TRP_CONTROL_MAX / 2];
    trp_publish_frame_t  frame;

    if (trp_publish_get(&frame, p, len) != TRP_OK) {
        return NULL;
    }

    for (n = 0; trp_publish_next(&frame, &names[n]) == TRP_OK; n++) {
        /* void */
    }

    end = trp_publish_put(dst, names, n, &put);

    if (put != n) {
        abort();
    }

    return end;
}


/* reads a payload and writes the frame again; NULL if it was refused */

static uint8_t *
fuzz_copy(uint8_t *dst, unsigned type, const uint8_t *p, size_t len)
{
    uint8_t       slot;
    trp_str_t     name;
    trp_auth_t    auth;
    trp_open_t    open;
    trp_hello_t   hello;
    trp_ready_t   ready;
    trp_refuse_t  refuse;

    switch (type) {

    case TRP_HELLO:
        return trp_hello_get(&hello, p, len) == TRP_OK
               ? trp_hello_put(dst, &hello) : NULL;

    case TRP_AUTH:
        return trp_auth_get(&auth, p, len) == TRP_OK
               ? trp_auth_put(dst, &auth) : NULL;

    case TRP_READY:
        return trp_ready_get(&ready, p, len) == TRP_OK
               ? trp_ready_put(dst, &ready) : NULL;

    case TRP_MOVED:
        return trp_moved_get(&slot, p, len) == TRP_OK
               ? trp_moved_put(dst, slot) : NULL;

    case TRP_AGENTS:
        return trp_agents_get(&slot, p, len) == TRP_OK
               ? trp_agents_put(dst, slot) : NULL;

    case TRP_PUBLISH:
        return fuzz_names(dst, p, len);

    case TRP_PUBLISHED:
        return trp_published_get(&slot, &name, p, len) == TRP_OK
               ? trp_published_put(dst, slot, name) : NULL;

    case TRP_ERRMSG:
    case TRP_REFUSE:
        return trp_refuse_get(&refuse, p, len) == TRP_OK
               ? trp_refuse_put(dst, type, &refuse) : NULL;

    case TRP_OPEN:
        return trp_open_get(&open, p, len) == TRP_OK
               ? trp_open_put(dst, &open) : NULL;

    default:
        return len ? NULL : trp_empty_put(dst, type);
    }
}


/* what was written from a payload is read as the same */

static void
fuzz_payload(const trp_reader_t *r)
{
    size_t    len;
    uint8_t   first[FRAME_MAX], second[FRAME_MAX], *payload, *last, *end;

    /* without a byte to spare, so that ASan sees reads past the end */

    payload = malloc(r->frame.len ? r->frame.len : 1);
    if (payload == NULL) {
        return;
    }

    memcpy(payload, r->buf, r->frame.len);

    last = fuzz_copy(first, r->frame.type, payload, r->frame.len);
    free(payload);

    if (last == NULL) {
        return;
    }

    len = (size_t) (last - first);

    if (len > FRAME_MAX || first[0] != r->frame.type
        || (size_t) (first[2] << 8 | first[3]) != len - TRP_HEADER_LEN)
    {
        abort();
    }

    end = fuzz_copy(second, r->frame.type, first + TRP_HEADER_LEN,
                    len - TRP_HEADER_LEN);

    if (end == NULL || (size_t) (end - second) != len
        || memcmp(first, second, len) != 0)
    {
        abort();
    }
}


static void
fuzz_feed(trp_reader_t *r, fuzz_log_t *log, const uint8_t *p, size_t len)
{
    size_t    n, size;
    uint8_t  *dst, header[TRP_HEADER_LEN];

    while (len && log->rc != TRP_ERROR) {

        if (r->left) {
            n = (r->left < len) ? r->left : len;
            trp_reader_take(r, n);

            fuzz_hash(log, p, n);
            p += n;
            len -= n;
            continue;
        }

        dst = trp_reader_space(r, &size);

        if (size == 0
            || dst < (r->payload ? r->buf : r->header)
            || dst + size > (r->payload ? r->buf + TRP_CONTROL_MAX
                                        : r->header + TRP_HEADER_LEN))
        {
            abort();
        }

        n = (size < len) ? size : len;
        memcpy(dst, p, n);
        p += n;
        len -= n;

        log->rc = trp_reader_commit(r, n);

        if (log->rc == TRP_OK || log->rc == TRP_DECLINED) {
            trp_header_put(header, r->frame.type, r->frame.len);

            fuzz_hash(log, header, sizeof(header));
            fuzz_hash(log, &r->frame.flags, 1);
            log->frames++;
        }

        if (log->rc == TRP_OK) {
            fuzz_hash(log, r->buf, r->frame.len);
            fuzz_payload(r);
        }
    }
}


/* the input: a byte for the cuts, and what a peer sends */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t        n, len, step;
    uint8_t       payload[TRP_CONTROL_MAX];
    fuzz_log_t    whole, cut;
    trp_reader_t  r;

    if (size == 0) {
        return 0;
    }

    memset(&whole, 0, sizeof(fuzz_log_t));
    memset(&cut, 0, sizeof(fuzz_log_t));

    step = data[0];
    data++;
    size--;

    trp_reader_init(&r, payload);
    fuzz_feed(&r, &whole, data, size);

    trp_reader_init(&r, payload);

    for (n = 0; n < size; n += len) {
        len = (step * n) % 61 + 1;
        len = (len < size - n) ? len : size - n;

        fuzz_feed(&r, &cut, data + n, len);
    }

    if (whole.rc != cut.rc || whole.frames != cut.frames
        || whole.hash != cut.hash)
    {
        abort();
    }

    return 0;
}
