
/*
 * Copyright (C) the trp authors
 */


/* frames: written, read back, cut, damaged, and out of a reader in pieces */


#include <stdlib.h>

#include "tap.h"
#include "rnd.h"
#include "tunnel/hellos.h"

#include "tunnel/trp_wire.h"


#define FRAME_MAX  (TRP_HEADER_LEN + TRP_CONTROL_MAX)

#define nelts(a)   (sizeof(a) / sizeof((a)[0]))


typedef struct {
    uint8_t  *data;
    size_t    len;
} buf_t;


/* what a payload of this type says; wire_get() and wire_put() read and write */

typedef struct {
    uint8_t       type;
    uint8_t       slot;              /* of AGENTS: there */
    trp_hello_t   hello;
    trp_auth_t    auth;
    trp_ready_t   ready;
    trp_refuse_t  refuse;
    trp_open_t    open;
    trp_str_t     names[3];          /* of PUBLISH; PUBLISHED: the first */
    size_t        nnames;
} message_t;


static int
wire_get_names(message_t *m, const uint8_t *p, size_t len)
{
    trp_str_t            name;
    trp_publish_frame_t  frame;

    if (trp_publish_get(&frame, p, len) != TRP_OK) {
        return TRP_ERROR;
    }

    m->slot = frame.flags;

    for (m->nnames = 0; trp_publish_next(&frame, &name) == TRP_OK;
         m->nnames++)
    {
        if (m->nnames == nelts(m->names)) {
            return TRP_ERROR;
        }

        m->names[m->nnames] = name;
    }

    return m->nnames ? TRP_OK : TRP_ERROR;
}


static int
wire_get(message_t *m, const uint8_t *p, size_t len)
{
    switch (m->type) {

    case TRP_HELLO:
        return trp_hello_get(&m->hello, p, len);

    case TRP_AUTH:
        return trp_auth_get(&m->auth, p, len);

    case TRP_READY:
        return trp_ready_get(&m->ready, p, len);

    case TRP_MOVED:
        return trp_moved_get(&m->slot, p, len);

    case TRP_AGENTS:
        return trp_agents_get(&m->slot, p, len);

    case TRP_PUBLISH:
        return wire_get_names(m, p, len);

    case TRP_PUBLISHED:
        return trp_published_get(&m->slot, &m->names[0], p, len);

    case TRP_ERRMSG:
    case TRP_REFUSE:
        return trp_refuse_get(&m->refuse, p, len);

    default: /* TRP_OPEN */
        return trp_open_get(&m->open, p, len);
    }
}


static uint8_t *
wire_put(uint8_t *p, const message_t *m)
{
    size_t  n;

    switch (m->type) {

    case TRP_HELLO:
        return trp_hello_put(p, &m->hello);

    case TRP_AUTH:
        return trp_auth_put(p, &m->auth);

    case TRP_READY:
        return trp_ready_put(p, &m->ready);

    case TRP_MOVED:
        return trp_moved_put(p, m->slot);

    case TRP_AGENTS:
        return trp_agents_put(p, m->slot);

    case TRP_PUBLISH:
        return trp_publish_put(p, m->names, m->nnames, &n);

    case TRP_PUBLISHED:
        return trp_published_put(p, m->slot, m->names[0]);

    case TRP_ERRMSG:
    case TRP_REFUSE:
        return trp_refuse_put(p, m->type, &m->refuse);

    default: /* TRP_OPEN */
        return trp_open_put(p, &m->open);
    }
}


/* the same from a copy without a byte to spare, so that ASan sees overreads */

static int
wire_get_copy(message_t *m, const uint8_t *p, size_t len)
{
    static uint8_t  *copy;

    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, p, len);

    return wire_get(m, copy, len);
}


static trp_str_t
text(const char *s)
{
    trp_str_t  str;

    str.len = strlen(s);
    str.data = (const uint8_t *) s;

    return str;
}


static int
same_str(trp_str_t a, trp_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}


static int
same_addr(const trp_addr_t *a, const trp_addr_t *b)
{
    return a->family == b->family
           && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}


static int
same_message(const message_t *a, const message_t *b)
{
    size_t             i;
    const trp_auth_t  *au, *bu;
    const trp_open_t  *ao, *bo;

    switch (a->type) {

    case TRP_HELLO:
        return a->hello.version == b->hello.version
               && a->hello.heartbeat == b->hello.heartbeat
               && a->hello.flags == b->hello.flags
               && memcmp(a->hello.nonce, b->hello.nonce, TRP_NONCE_LEN) == 0;

    case TRP_AUTH:
        au = &a->auth;
        bu = &b->auth;

        return au->version == bu->version
               && au->role == bu->role
               && same_str(au->group, bu->group)
               && same_str(au->name, bu->name)
               && memcmp(au->public_key, bu->public_key, 32) == 0
               && memcmp(au->nonce, bu->nonce, TRP_NONCE_LEN) == 0
               && memcmp(au->signature, bu->signature, TRP_SIGNATURE_LEN) == 0
               && au->weight == bu->weight
               && au->backup == bu->backup
               && au->flags == bu->flags
               && au->list == bu->list;

    case TRP_READY:
        return a->ready.slot == b->ready.slot
               && a->ready.wanted == b->ready.wanted
               && a->ready.flags == b->ready.flags;

    case TRP_MOVED:
    case TRP_AGENTS:
        return a->slot == b->slot;

    case TRP_PUBLISH:
        for (i = 0; i < a->nnames; i++) {
            if (!same_str(a->names[i], b->names[i])) {
                return 0;
            }
        }

        return a->nnames == b->nnames;

    case TRP_PUBLISHED:
        return a->slot == b->slot && same_str(a->names[0], b->names[0]);

    case TRP_ERRMSG:
    case TRP_REFUSE:
        return a->refuse.code == b->refuse.code
               && a->refuse.retry == b->refuse.retry
               && same_str(a->refuse.text, b->refuse.text);

    default: /* TRP_OPEN */
        ao = &a->open;
        bo = &b->open;

        return ao->proto == bo->proto
               && memcmp(ao->id, bo->id, TRP_STREAM_ID_LEN) == 0
               && same_addr(&ao->addr, &bo->addr)
               && same_str(ao->host, bo->host)
               && ao->port == bo->port
               && same_addr(&ao->user, &bo->user)
               && ao->user_port == bo->user_port
               && same_addr(&ao->local, &bo->local)
               && ao->local_port == bo->local_port
               && same_str(ao->name, bo->name)
               && ao->flags == bo->flags
               && ao->retries == bo->retries;
    }
}


/* messages of every type, each with its extremes */

#define MESSAGES  21


static void
sample(message_t *m, size_t i)
{
    size_t       n;
    trp_open_t  *open;

    static char        longest[254];
    static const char  label[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz.@:+/0129-_";

    static const trp_addr_t  v4 = { 4, { 192, 0, 2, 1 } };
    static const trp_addr_t  v6 = {
        6, { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }
    };

    static const uint8_t  types[MESSAGES] = {
        TRP_HELLO, TRP_HELLO, TRP_AUTH, TRP_AUTH, TRP_READY, TRP_READY,
        TRP_MOVED, TRP_MOVED, TRP_ERRMSG, TRP_REFUSE, TRP_REFUSE,
        TRP_OPEN, TRP_OPEN, TRP_OPEN, TRP_AGENTS, TRP_AGENTS,
        TRP_AUTH, TRP_PUBLISH, TRP_PUBLISH, TRP_PUBLISHED, TRP_PUBLISHED
    };

    memset(m, 0, sizeof(message_t));
    m->type = types[i];
    open = &m->open;

    for (n = 0; n < TRP_NONCE_LEN; n++) {
        m->hello.nonce[n] = (uint8_t) (n + 1);
        m->auth.public_key[n] = (uint8_t) (n + 64);
        m->auth.nonce[n] = (uint8_t) (255 - n);
        m->auth.signature[n] = (uint8_t) (n * 3);
        m->auth.signature[n + 32] = (uint8_t) (n * 7);
    }

    m->auth.weight = 1;

    for (n = 0; n < sizeof(longest) - 1; n++) {
        longest[n] = (n % 64 == 63) ? '.' : 'a';
    }

    memcpy(open->id, "\0\1\2\3\374\375\376\377", TRP_STREAM_ID_LEN);
    open->proto = TRP_PROTO_TCP;
    open->name = text("e");
    open->flags = TRP_OPEN_ELSEWHERE;
    open->retries = 2;

    switch (i) {

    case 0:
        m->hello.version = TRP_VERSION;
        m->hello.heartbeat = 0x01020304;
        break;

    case 1:
        m->hello.version = 255;
        m->hello.heartbeat = 0xffffffff;
        m->hello.flags = TRP_CAN_ANSWER;
        break;

    case 2:
        m->auth.version = TRP_VERSION;
        m->auth.role = 1;
        m->auth.group = text("g");
        m->auth.name = text("n");
        break;

    case 3:
        m->auth.version = 255;
        m->auth.role = 255;
        m->auth.weight = 0xffff;
        m->auth.backup = 1;
        m->auth.flags = TRP_CAN_ANSWER;
        m->auth.group = text(label);
        m->auth.group.len = TRP_LABEL_MAX - 1;
        m->auth.name = text(label);
        m->auth.name.len = TRP_LABEL_MAX - 1;
        break;

    case 5:
        m->ready.slot = TRP_SLOTS - 1;
        m->ready.wanted = 0xfffe;
        m->ready.flags = TRP_READY_PUBLISH|TRP_READY_TELL;
        break;

    case 7:
        m->slot = TRP_SLOTS - 1;
        break;

    case 8:
        m->refuse.code = TRP_CODE_NOT_AUTHORIZED;
        m->refuse.text = text("not authorized");
        break;

    case 10:
        m->refuse.code = 255;
        m->refuse.retry = 1;
        m->refuse.text = text(longest);
        m->refuse.text.len = TRP_TEXT_MAX;
        break;

    case 11:
        open->addr = v4;
        open->port = 1;
        open->user = v4;
        open->user.bytes[3] = 2;
        open->user_port = 65535;
        open->local = v4;
        open->local.bytes[3] = 3;
        open->local_port = 0x1234;
        break;

    case 12:
        open->proto = TRP_PROTO_UDP;
        open->addr = v6;
        open->port = 65535;
        open->user = v6;
        open->user.bytes[15] = 2;
        open->user_port = 1;
        open->local = v6;
        open->local.bytes[15] = 3;
        open->local_port = 2;
        open->name = text(label);
        open->name.len = TRP_LABEL_MAX - 1;
        break;

    case 13:
        open->host = text(longest);
        open->port = 443;
        break;

    case 15:
        m->slot = 1;
        break;

    case 16:
        m->auth.version = TRP_VERSION;
        m->auth.role = 2;
        m->auth.group = text("g");
        m->auth.name = text("n");
        m->auth.flags = 255;
        m->auth.list = 0x0102030405060708;
        break;

    case 17:
        m->nnames = 1;
        m->names[0] = text("1");
        break;

    case 18:
        m->nnames = 3;
        m->names[0] = text("65535");
        m->names[1] = text(longest);
        m->names[2] = text("Git.example.com.");
        break;

    case 19:
        m->names[0] = text("g");
        break;

    case 20:
        m->slot = TRP_CODE_TAKEN;
        m->names[0] = text(longest);
        break;
    }
}


static void
test_round_trip(void)
{
    size_t      i, len;
    uint8_t     buf[FRAME_MAX], *end;
    message_t   in, out;

    for (i = 0; i < MESSAGES; i++) {
        sample(&in, i);

        end = wire_put(buf, &in);
        len = (size_t) (end - buf) - TRP_HEADER_LEN;

        ok(buf[0] == in.type
           && buf[1] == (in.type >= TRP_AGENTS ? TRP_FLAG_OPTIONAL : 0)
           && (size_t) (buf[2] << 8 | buf[3]) == len,
           "message %d, its header", (int) i);

        memset(&out, 0xa5, sizeof(out));
        out.type = in.type;

        is_int(wire_get_copy(&out, buf + TRP_HEADER_LEN, len), TRP_OK,
               "message %d, type %d, %d bytes", (int) i, in.type, (int) len);
        ok(same_message(&in, &out), "the same again");
    }

    end = trp_empty_put(buf, TRP_DONE);
    ok(end == buf + 4 && memcmp(buf, "\26\0\0\0", 4) == 0, "an empty frame");

    end = trp_header_put(buf, TRP_DATA, TRP_DATA_MAX);
    ok(end == buf + 4 && memcmp(buf, "\23\0\77\374", 4) == 0,
       "the largest frame");
}


/* the bytes as docs/protocol.md has them, against mistakes made twice */

static void
test_bytes(void)
{
    size_t      i;
    uint8_t     buf[FRAME_MAX];
    message_t   m;

    static const struct {
        size_t       message;
        size_t       at;
        size_t       len;
        const char  *bytes;
    } wire[] = {
        { 0, 0, 6, "\1\0\0\46\2\1" },
        { 0, 36, 5, "\40\1\2\3\4" },
        { 1, 36, 6, "\40\377\377\377\377\1" },
        { 2, 0, 11, "\2\0\0\222\2\1\1g\1n\100" },
        { 5, 0, 8, "\3\0\0\4\77\377\376\3" },
        { 7, 0, 5, "\4\0\0\1\77" },
        { 8, 0, 20, "\5\0\0\20\2\0not authorized" },
        { 9, 0, 6, "\22\0\0\2\0\0" },
        { 11, 0, 13, "\20\0\0\44\6\0\1\2\3\374\375\376\377" },
        { 11, 13, 27, "\4\300\0\2\1\0\1\4\300\0\2\2\377\377"
                      "\4\300\0\2\3\22\064\1e\1\2\200\0" },
        { 12, 13, 19, "\6\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\377\377" },
        { 13, 13, 3, "\0\375a" },
        { 13, 268, 12, "\1\273\0\0\0\0\0\0\0\0\1e" },
        { 14, 0, 5, "\43\200\0\1\0" },
        { 15, 0, 5, "\43\200\0\1\1" },
        { 16, 0, 4, "\2\0\0\222" },
        { 16, 138, 12, "\0\1\0\377\1\2\3\4\5\6\7\10" },
        { 17, 0, 7, "\44\200\0\3\1\0011" },
        { 18, 4, 8, "\1\00565535\375" },
        { 19, 0, 7, "\45\200\0\3\0\1g" }
    };

    for (i = 0; i < nelts(wire); i++) {
        memset(buf, 0xa5, sizeof(buf));
        sample(&m, wire[i].message);
        wire_put(buf, &m);

        ok(memcmp(buf + wire[i].at, wire[i].bytes, wire[i].len) == 0,
           "message %d, bytes %d..%d", (int) wire[i].message,
           (int) wire[i].at, (int) (wire[i].at + wire[i].len - 1));
    }
}


static void
test_truncated(void)
{
    int         rest;
    size_t      i, n, len, min, wrong;
    uint8_t     buf[FRAME_MAX];
    message_t   in, out;

    for (i = 0; i < MESSAGES; i++) {
        sample(&in, i);
        out.type = in.type;

        len = (size_t) (wire_put(buf, &in) - buf) - TRP_HEADER_LEN;

        /* the text of these is what is left of the payload */

        rest = (in.type == TRP_ERRMSG || in.type == TRP_REFUSE);
        min = rest ? 2 : len;

        /* "spare" was not there from the beginning */

        if (in.type == TRP_OPEN) {
            min = len - 2;
        }

        /* neither were these */

        if (in.type == TRP_HELLO || in.type == TRP_AUTH
            || in.type == TRP_READY)
        {
            min = len - (in.type == TRP_AUTH ? 9 : 1);
        }

        /* one name is enough */

        if (in.type == TRP_PUBLISH) {
            rest = 1;
            min = len;
        }

        wrong = 0;

        for (n = 0; n < len; n++) {
            wrong += wire_get_copy(&out, buf + TRP_HEADER_LEN, n)
                     != (n < min ? TRP_ERROR : TRP_OK);
        }

        is_int(wrong, in.nnames > 1 ? in.nnames - 1 : 0,
               "message %d cut at every length", (int) i);

        if (!rest) {
            memset(buf + TRP_HEADER_LEN + len, 0xff, 16);
            is_int(wire_get_copy(&out, buf + TRP_HEADER_LEN, len + 16),
                   TRP_OK, "message %d with fields of a later version",
                   (int) i);
            ok(same_message(&in, &out), "the same");
        }
    }
}


/* a destination that older peers read as the host "unix" and port 1 */

static void
test_unix(void)
{
    size_t       i, len;
    uint8_t      buf[FRAME_MAX], *p;
    message_t    m;
    trp_open_t   out;

    static const trp_str_t  socket = trp_string("unix:/run/a.sock");
    static const char      *bad[] = {
        "unix:/run/../a.sk", "unix:/run/a sock", "unix:run/a.sock_",
        "/run/a.sock      ", "unix:/run/a/b/s/"
    };

    sample(&m, 11);

    m.open.proto = 6;
    memset(&m.open.addr, 0, sizeof(trp_addr_t));
    m.open.host = socket;
    m.open.port = 0;

    p = buf + TRP_HEADER_LEN;
    len = (size_t) (trp_open_put(buf, &m.open) - p);

    is_int(trp_open_get(&out, p, len), TRP_OK, "OPEN to a unix socket");
    is_int(out.proto, 6 | TRP_PROTO_UNIX, "the protocol says so");
    is_int(out.addr.family, 0, "no address");
    is_int(out.port, 0, "no port");
    is_int(out.host.len, socket.len, "length of the path");
    ok(memcmp(out.host.data, socket.data, socket.len) == 0, "the path");
    is_int(out.flags, m.open.flags, "flags");
    ok(trp_open_end(buf, len + TRP_HEADER_LEN)
       == buf + TRP_HEADER_LEN + len - 1 - socket.len, "what may change ends");

    trp_open_set_spare(&out, p, 7);
    is_int(trp_open_get(&out, p, len), TRP_OK, "with spare tunnels");
    is_int(out.spare, 7, "as many");

    is_int(trp_open_get(&out, p, len - 1), TRP_ERROR, "cut");
    is_int(trp_open_get(&out, p, len - 1 - socket.len), TRP_ERROR, "no path");

    /* the same bytes to a peer that does not know the bit */

    p[0] = 6;
    is_int(trp_open_get(&out, p, len), TRP_OK, "an older OPEN");
    is_int(out.port, 1, "its port");
    ok(out.host.len == 4 && memcmp(out.host.data, "unix", 4) == 0, "its host");
    p[0] = 6 | TRP_PROTO_UNIX;

    for (i = 0; i < nelts(bad); i++) {
        memcpy(p + len - socket.len, bad[i], socket.len);
        is_int(trp_open_get(&out, p, len), TRP_ERROR, "\"%s\"", bad[i]);
    }

    sample(&m, 11);
    len = (size_t) (trp_open_put(buf, &m.open) - buf);
    ok(trp_open_end(buf, len) == buf + len, "without a path at the end");
}


/* what the relay writes into an OPEN that it passes on */

static void
test_spare(void)
{
    size_t      i, len;
    uint8_t     buf[FRAME_MAX], *p;
    message_t   m, out;

    static const struct {
        int  put;
        int  got;
    } spare[] = {
        { 0, 0 }, { 1, 1 }, { -1, -1 }, { 300, 300 }, { -300, -300 },
        { 32767, 32767 }, { 40000, 32767 }, { -40000, -32767 }
    };

    sample(&m, 11);
    p = buf + TRP_HEADER_LEN;
    len = (size_t) (wire_put(buf, &m) - p);

    out.type = TRP_OPEN;
    is_int(wire_get(&out, p, len), TRP_OK, "OPEN of an entry");
    is_int(out.open.spare, TRP_SPARE_UNKNOWN, "nobody knows yet");
    is_int(out.open.spare_at, len - 2, "where it belongs");

    for (i = 0; i < nelts(spare); i++) {
        trp_open_set_spare(&out.open, p, spare[i].put);
        is_int(wire_get(&out, p, len), TRP_OK, "OPEN of a relay");
        is_int(out.open.spare, spare[i].got, "spare: %d", spare[i].put);
    }

    ok(same_message(&m, &out), "the rest is the same");

    memset(p + len, 0xff, 16);
    trp_open_set_spare(&out.open, p, 1);
    is_int(wire_get(&out, p, len + 16), TRP_OK, "and of a later version");
    is_int(out.open.spare, 1, "the field is found");

    is_int(wire_get(&out, p, len - 2), TRP_OK, "OPEN of an earlier version");
    is_int(out.open.spare, TRP_SPARE_UNKNOWN, "it has no field");

    trp_open_set_spare(&out.open, p, 77);
    is_int(wire_get(&out, p, len), TRP_OK, "and gets none");
    is_int(out.open.spare, 1, "what is behind it stays");
}


/* what is accepted can be written, and is then read as the same */

static void
test_damaged(void)
{
    size_t      i, n, len, wrong, accepted;
    uint8_t     buf[FRAME_MAX], again[FRAME_MAX], *p;
    unsigned    v;
    message_t   m, out;

    for (i = 0; i < MESSAGES; i++) {
        sample(&m, i);

        p = buf + TRP_HEADER_LEN;
        len = (size_t) (wire_put(buf, &m) - p);
        wrong = 0;
        accepted = 0;

        for (n = 0; n < len; n++) {
            for (v = 1; v < 256; v++) {
                p[n] ^= (uint8_t) v;

                if (wire_get_copy(&m, p, len) == TRP_OK) {
                    accepted++;
                    wire_put(again, &m);

                    out.type = m.type;
                    wrong += wire_get(&out, again + TRP_HEADER_LEN,
                                      again[2] << 8 | again[3])
                             != TRP_OK;
                    wrong += !same_message(&m, &out);
                }

                p[n] ^= (uint8_t) v;
            }
        }

        is_int(wrong, 0, "message %d, every byte with every value, %d good",
               (int) i, (int) accepted);
    }

    rnd_seed(1);
    wrong = 0;

    for (i = 0; i < 200000; i++) {
        sample(&m, rnd(MESSAGES));

        len = (size_t) (wire_put(buf, &m) - buf) - TRP_HEADER_LEN;

        for (n = rnd(8); n; n--) {
            buf[TRP_HEADER_LEN + rnd((uint32_t) len)] = (uint8_t) rnd(256);
        }

        if (wire_get_copy(&m, buf + TRP_HEADER_LEN, len) == TRP_OK) {
            wire_put(again, &m);

            out.type = m.type;
            wrong += wire_get(&out, again + TRP_HEADER_LEN,
                              again[2] << 8 | again[3])
                     != TRP_OK;
            wrong += !same_message(&m, &out);
        }
    }

    is_int(wrong, 0, "up to 7 random bytes");
}


static void
test_refused(void)
{
    size_t      i;
    uint8_t     buf[FRAME_MAX], *p, *end;
    unsigned    v, good;
    message_t   m, out;

    /* a byte of the payload that makes the message bad */

    static const struct {
        const char  *what;
        size_t       message;
        size_t       at;
        uint8_t      byte;
    } bad[] = {
        { "an empty group", 2, 2, 0 },
        { "a group of 255 bytes", 2, 2, 255 },
        { "a space in a group", 2, 3, ' ' },
        { "an empty name", 2, 4, 0 },
        { "a newline in a name", 2, 5, '\n' },
        { "slot 64 in READY", 5, 0, TRP_SLOTS },
        { "slot 255 in READY", 5, 0, 255 },
        { "slot 64 in MOVED", 7, 0, TRP_SLOTS },
        { "a newline in an error", 8, 2, '\n' },
        { "a null byte in an error", 8, 15, '\0' },
        { "DEL in an error", 8, 15, 0x7f },
        { "a byte of UTF-8 in an error", 8, 15, 0xc3 },
        { "destination family 5", 11, 9, 5 },
        { "destination family 10", 11, 9, 10 },
        { "destination port 0", 11, 15, 0 },
        { "user family 1", 11, 16, 1 },
        { "local family 255", 11, 23, 255 },
        { "an empty name of the entry", 11, 30, 0 },
        { "a quote in the name of the entry", 11, 31, '"' },
        { "an empty host", 13, 10, 0 },
        { "a null byte in a host", 13, 11, '\0' },
        { "a space in a host", 13, 100, ' ' },
        { "a colon in a host", 13, 100, ':' },
        { "a host that is an address", 13, 9, 4 }
    };

    for (i = 0; i < nelts(bad); i++) {
        sample(&m, bad[i].message);
        end = wire_put(buf, &m);

        p = buf + TRP_HEADER_LEN;
        p[bad[i].at] = bad[i].byte;

        is_int(wire_get_copy(&m, p, (size_t) (end - p)), TRP_ERROR, "%s",
               bad[i].what);
    }

    /* the host of a user is not a destination: it is not looked at */

    sample(&m, 11);
    m.open.user.family = 0;
    m.open.local.family = 0;
    end = wire_put(buf, &m);
    out.type = TRP_OPEN;
    is_int(wire_get_copy(&out, buf + 4, (size_t) (end - buf) - 4), TRP_OK,
           "a user without an address");
    is_int(out.open.user.family + out.open.local.family, 0, "family 0");

    sample(&m, 10);
    m.refuse.text.len = 253;
    end = wire_put(buf, &m);
    is_int(end - buf, TRP_HEADER_LEN + 2 + TRP_TEXT_MAX,
           "a text too long is cut");

    good = 0;

    for (v = 0; v < 256; v++) {
        sample(&m, 8);
        end = wire_put(buf, &m);
        buf[TRP_HEADER_LEN + 2] = (uint8_t) v;
        good += wire_get_copy(&m, buf + 4, (size_t) (end - buf) - 4)
                == TRP_OK;
    }

    is_int(good, 95, "printable ASCII in an error");
}


/* what the reader says of a header */

static uint8_t  payload[TRP_CONTROL_MAX];


static int
header(unsigned type, unsigned flags, size_t len)
{
    size_t        size;
    uint8_t      *p;
    trp_reader_t  r;

    trp_reader_init(&r, payload);

    p = trp_reader_space(&r, &size);
    trp_header_put(p, type, len);
    p[1] = (uint8_t) flags;

    return size == TRP_HEADER_LEN ? trp_reader_commit(&r, TRP_HEADER_LEN)
                                  : -100;
}


static void
test_limits(void)
{
    int       rc, want;
    size_t    i, n, len, wrong;
    unsigned  type;

    static const uint8_t  flags[] = { 0, TRP_FLAG_OPTIONAL, 0x7f, 0xff };

    static const struct {
        uint8_t  type;
        size_t   min;
        size_t   max;
    } limits[] = {
        { TRP_HELLO, 37, 1024 },
        { TRP_AUTH, 134, 1024 },
        { TRP_READY, 3, 1024 },
        { TRP_MOVED, 1, 1024 },
        { TRP_ERRMSG, 2, 130 },
        { TRP_OPEN, 25, 1024 },
        { TRP_ACCEPT, 0, 0 },
        { TRP_REFUSE, 2, 130 },
        { TRP_DATA, 0, 16380 },
        { TRP_END, 0, 0 },
        { TRP_RESET, 0, 0 },
        { TRP_DONE, 0, 0 },
        { TRP_PING, 0, 0 },
        { TRP_PONG, 0, 0 },
        { TRP_DRAIN, 0, 0 },
        { TRP_AGENTS, 1, 1024 },
        { TRP_PUBLISH, 3, 1024 },
        { TRP_PUBLISHED, 3, 1024 }
    };

    for (type = 0; type < 256; type++) {
        wrong = 0;

        for (i = 0; i < nelts(limits) && limits[i].type != type; i++) {
            /* void */
        }

        for (n = 0; n < nelts(flags); n++) {
            for (len = 0; len < 65536; len += (len < 2000 ? 1 : 7)) {

                if (i == nelts(limits)) {
                    want = (flags[n] & TRP_FLAG_OPTIONAL && len <= 1024)
                           ? TRP_AGAIN : TRP_ERROR;

                } else if (len < limits[i].min || len > limits[i].max) {
                    want = TRP_ERROR;

                } else if (type == TRP_DATA) {
                    want = TRP_DECLINED;

                } else {
                    want = len ? TRP_AGAIN : TRP_OK;
                }

                rc = header(type, flags[n], len);
                wrong += (rc != want);
            }
        }

        if (i < nelts(limits) || wrong) {
            is_int(wrong, 0, "type %d, every length", (int) type);
        }
    }

    is_int(header(TRP_DATA, 0, 16380), TRP_DECLINED, "DATA of 16380 bytes");
    is_int(header(TRP_DATA, 0, 16381), TRP_ERROR, "DATA of 16381 bytes");
    is_int(header(63, TRP_FLAG_OPTIONAL, 1024), TRP_AGAIN,
           "an unknown frame of 1024 bytes");
    is_int(header(63, TRP_FLAG_OPTIONAL, 1025), TRP_ERROR,
           "an unknown frame of 1025 bytes");
}


/*
 * Feeds a piece to the reader and appends the frames that come out to "out".
 * The last result, or -100 if there was no room where there should be.
 */

static int
feed(trp_reader_t *r, buf_t *out, const uint8_t *p, size_t len)
{
    int       rc;
    size_t    n, size;
    uint8_t  *dst;

    rc = TRP_AGAIN;

    while (len) {

        if (r->left) {
            n = (r->left < len) ? r->left : len;
            memcpy(out->data + out->len, p, n);
            trp_reader_take(r, n);

            out->len += n;
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
            return -100;
        }

        n = (size < len) ? size : len;
        memcpy(dst, p, n);
        p += n;
        len -= n;

        rc = trp_reader_commit(r, n);

        if (rc == TRP_ERROR) {
            return rc;
        }

        if (rc == TRP_AGAIN) {
            continue;
        }

        out->data[out->len] = r->frame.type;
        out->data[out->len + 1] = r->frame.flags;
        out->data[out->len + 2] = (uint8_t) (r->frame.len >> 8);
        out->data[out->len + 3] = (uint8_t) r->frame.len;
        out->len += TRP_HEADER_LEN;

        if (rc == TRP_OK) {
            memcpy(out->data + out->len, r->buf, r->frame.len);
            out->len += r->frame.len;
        }
    }

    return rc;
}


#define STREAM_MAX  (512 * 1024)
#define FRAMES      300


/* frames of all kinds: "want" is the stream without those to be skipped */

static void
stream(buf_t *in, buf_t *want, uint8_t *ends)
{
    size_t    i, n, len;
    uint8_t  *p;

    static const uint8_t  types[] = {
        TRP_HELLO, TRP_AUTH, TRP_READY, TRP_MOVED, TRP_ERRMSG, TRP_OPEN,
        TRP_ACCEPT, TRP_REFUSE, TRP_DATA, TRP_DATA, TRP_DATA, TRP_END,
        TRP_RESET, TRP_DONE, TRP_PING, TRP_PONG, TRP_DRAIN,
        0, 6, 15, 23, 31, 35, 255
    };

    static const size_t  sizes[] = {
        0, 1, 2, 3, 24, 37, 130, 134, 1023, 1024, 1025, 2048, 16379, 16380
    };

    in->len = 0;
    want->len = 0;
    memset(ends, 0, STREAM_MAX);

    for (i = 0; i < FRAMES && in->len < STREAM_MAX - 20000; i++) {
        p = in->data + in->len;

        /* a length that the type allows is found soon */

        do {
            p[0] = types[rnd(nelts(types))];
            len = rnd(2) ? sizes[rnd(nelts(sizes))] : rnd(300);
            p[1] = (uint8_t) rnd(256) | TRP_FLAG_OPTIONAL;
        } while (header(p[0], p[1], len) == TRP_ERROR);

        p[2] = (uint8_t) (len >> 8);
        p[3] = (uint8_t) len;

        for (n = 0; n < len; n++) {
            p[TRP_HEADER_LEN + n] = (uint8_t) rnd(256);
        }

        in->len += TRP_HEADER_LEN + len;
        ends[in->len] = 1;

        if (header(p[0], 0, len) != TRP_ERROR) {
            memcpy(want->data + want->len, p, TRP_HEADER_LEN + len);
            want->len += TRP_HEADER_LEN + len;
        }
    }

    ends[0] = 1;
}


static int
same_buf(const buf_t *a, const buf_t *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}


static void
test_reader(void)
{
    int           rc;
    buf_t         in, want, out;
    size_t        i, k, n, wrong, bounds;
    uint8_t      *ends;
    trp_reader_t  r;

    in.data = malloc(STREAM_MAX);
    want.data = malloc(STREAM_MAX);
    out.data = malloc(STREAM_MAX);
    ends = malloc(STREAM_MAX);

    rnd_seed(2);

    for (i = 0; i < 20; i++) {
        stream(&in, &want, ends);

        out.len = 0;
        trp_reader_init(&r, payload);
        ok(feed(&r, &out, in.data, in.len) != TRP_ERROR
           && same_buf(&want, &out) && trp_reader_boundary(&r),
           "stream %d, %d bytes, in one piece", (int) i, (int) in.len);

        out.len = 0;
        wrong = 0;
        bounds = 0;
        trp_reader_init(&r, payload);

        for (n = 0; n < in.len; n++) {
            bounds += trp_reader_boundary(&r) != ends[n];
            wrong += feed(&r, &out, in.data + n, 1) == TRP_ERROR;
        }

        ok(wrong == 0 && same_buf(&want, &out), "in single bytes");
        ok(bounds == 0 && trp_reader_boundary(&r), "the boundaries");

        for (k = 1; k < 6; k++) {
            out.len = 0;
            wrong = 0;
            trp_reader_init(&r, payload);

            for (n = 0; n < in.len; n += rc) {
                rc = 1 + (int) rnd((uint32_t) (1 << 3 * k));
                rc = (in.len - n < (size_t) rc) ? (int) (in.len - n) : rc;
                wrong += feed(&r, &out, in.data + n, rc) == TRP_ERROR;
            }

            ok(wrong == 0 && same_buf(&want, &out),
               "in random pieces of up to %d bytes", 1 << 3 * k);
        }
    }

    /* a frame that was refused: the same with every cut of its header */

    wrong = 0;

    for (k = 0; k < 8; k++) {
        trp_reader_init(&r, payload);
        trp_header_put(in.data, TRP_PING, 0);
        trp_header_put(in.data + 4, 63, 0);

        out.len = 0;
        rc = feed(&r, &out, in.data, k);
        wrong += (rc == TRP_ERROR);
        rc = feed(&r, &out, in.data + k, 8 - k);
        wrong += (rc != TRP_ERROR) || out.len != 4;
    }

    is_int(wrong, 0, "an unknown frame behind a known one");

    free(in.data);
    free(want.data);
    free(out.data);
    free(ends);
}


/* an empty DATA frame has to be taken, too */

static void
test_reader_data(void)
{
    size_t        size;
    trp_reader_t  r;

    trp_reader_init(&r, payload);
    is_int(r.data, 0, "no DATA yet");

    trp_header_put(trp_reader_space(&r, &size), TRP_DATA, 0);
    is_int(trp_reader_commit(&r, 4), TRP_DECLINED, "an empty DATA frame");
    ok(r.left == 0 && r.data && trp_reader_boundary(&r), "nothing is left");
    trp_reader_take(&r, 0);
    is_int(r.data, 0, "taken");

    trp_header_put(trp_reader_space(&r, &size), TRP_DATA, 3);
    is_int(trp_reader_commit(&r, 4), TRP_DECLINED, "DATA of 3 bytes");
    trp_reader_take(&r, 2);
    ok(r.left == 1 && r.data, "one byte is left");
    trp_reader_take(&r, 1);
    is_int(r.data, 0, "all taken");

    /* a side that passes frames on does not look at it */

    trp_header_put(trp_reader_space(&r, &size), TRP_DATA, 0);
    is_int(trp_reader_commit(&r, 4), TRP_DECLINED, "an empty DATA frame");
    trp_header_put(trp_reader_space(&r, &size), TRP_PING, 0);
    is_int(trp_reader_commit(&r, 4), TRP_OK, "another frame behind it");
    is_int(r.data, 0, "which is no DATA");
}


/* what is skipped leaves nothing behind */

static void
test_skip(void)
{
    int           rc;
    buf_t         out;
    size_t        len, n;
    uint8_t       data[TRP_HEADER_LEN], buf[FRAME_MAX];
    trp_reader_t  r;

    static const size_t  sizes[] = { 0, 1, 2, 1023, 1024 };

    out.data = data;

    for (n = 0; n < nelts(sizes); n++) {
        len = sizes[n];

        trp_header_put(buf, 200, len);
        buf[1] = TRP_FLAG_OPTIONAL;
        memset(buf + TRP_HEADER_LEN, TRP_PING, len);

        out.len = 0;
        trp_reader_init(&r, payload);

        rc = feed(&r, &out, buf, TRP_HEADER_LEN + len);
        ok(rc == TRP_AGAIN && out.len == 0 && trp_reader_boundary(&r),
           "%d bytes to be skipped", (int) len);

        trp_empty_put(buf, TRP_DONE);
        rc = feed(&r, &out, buf, TRP_HEADER_LEN);
        ok(rc == TRP_OK && out.len == 4 && data[0] == TRP_DONE,
           "and a frame behind them");
    }
}


static void
test_labels(void)
{
    size_t     len, wrong;
    uint8_t    buf[512];
    unsigned   v, good;
    trp_str_t  label;

    label.data = buf;
    memset(buf, 'a', sizeof(buf));
    wrong = 0;

    for (len = 0; len < sizeof(buf); len++) {
        label.len = len;
        wrong += trp_label_valid(label) != (len > 0 && len <= 64);
    }

    is_int(wrong, 0, "a label of 1..64 bytes");

    label.len = 3;
    good = 0;
    wrong = 0;

    for (v = 0; v < 256; v++) {
        buf[1] = (uint8_t) v;
        good += trp_label_valid(label);
        wrong += trp_label_valid(label) != (v != 0 && v < 128 && strchr(
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                     "0123456789._-@:+/", (int) v) != NULL);
    }

    is_int(good, 69, "69 of 256 bytes may stand in a label");
    is_int(wrong, 0, "the right ones");
}


static void
test_slots(void)
{
    int        slot, want;
    char       buf[64];
    size_t     i, n, wrong, used[TRP_SLOTS];
    uint8_t   *copy;
    trp_str_t  alpn;

    static const char  *none[] = {
        "", "trp/2", "trp-slot", "trp-slot/", "trp-slot/1", "trp-slot/001",
        "trp-slot/64", "trp-slot/99", "trp-slot/ 1", "trp-slot/1 ",
        "trp-slot/-1", "trp-slot/+1", "trp-slot/0x", "trp-slot/0:",
        "trp-slot/:0", "trp-slot//0", "trp-slot:01", "TRP-slot/01",
        "xtrp-slot/01", "trp-slot/01x"
    };

    wrong = 0;

    for (i = 0; i < 100; i++) {
        snprintf(buf, sizeof(buf), "trp-slot/%02d", (int) i);
        want = (i < TRP_SLOTS) ? (int) i : -1;

        for (n = 0; n <= strlen(buf); n++) {
            copy = malloc(n + 1);
            memcpy(copy, buf, n);

            alpn.len = n;
            alpn.data = copy;
            slot = trp_slot_parse(alpn);
            wrong += slot != (n == strlen(buf) ? want : -1);
            free(copy);
        }
    }

    is_int(wrong, 0, "the hints of all slots, and cut");

    for (i = 0; i < nelts(none); i++) {
        is_int(trp_slot_parse(text(none[i])), -1, "no hint: \"%s\"", none[i]);
    }

    memset(used, 0, sizeof(used));
    wrong = 0;

    for (i = 0; i < 64 * 100; i++) {
        snprintf(buf, sizeof(buf), "group-%d", (int) i);

        n = trp_slot(text(buf));
        wrong += n >= TRP_SLOTS || n != trp_slot(text(buf));
        used[n % TRP_SLOTS]++;
    }

    for (i = 0; i < TRP_SLOTS; i++) {
        wrong += used[i] < 50 || used[i] > 150;
    }

    is_int(wrong, 0, "6400 groups, no slot has less than 50, more than 150");
}


static void
test_codes(void)
{
    size_t  i, k, wrong;

    wrong = 0;

    for (i = 0; i <= TRP_CODE_HOST_UNREACHABLE; i++) {
        for (k = 0; k <= i; k++) {
            wrong += (strcmp(trp_code_text(i), trp_code_text(k)) == 0)
                     != (i == k);
        }
    }

    is_int(wrong, 0, "each code has a text of its own");
    is_str(trp_code_text(TRP_CODE_FAILED), "failed", "any other code");
    is_str(trp_code_text(255), "failed", "a code of a later version");
}


/* without a byte to spare */

static int
slot_of(const uint8_t *p, size_t len)
{
    int       slot;
    uint8_t  *copy;

    copy = malloc(len ? len : 1);
    memcpy(copy, p, len);

    slot = trp_hello_slot(copy, len);
    free(copy);

    return slot;
}


static const struct {
    const char     *what;
    const uint8_t  *data;
    size_t          len;
    int             slot;
} hellos[] = {
    { "TLS 1.3, hint", tls13_hint, sizeof(tls13_hint), 17 },
    { "TLS 1.3, hint in front", default_hint, sizeof(default_hint), 63 },
    { "TLS 1.3, no hint", tls13_no_hint, sizeof(tls13_no_hint),
      TRP_DECLINED },
    { "TLS 1.3, no ALPN", tls13_no_alpn, sizeof(tls13_no_alpn),
      TRP_DECLINED },
    { "TLS 1.2, hint", tls12_hint, sizeof(tls12_hint), 0 },
    { "TLS 1.2, false hints", tls12_false_hints, sizeof(tls12_false_hints),
      TRP_DECLINED }
};


/* the payload of a record in records of "n" bytes; returns their length */

static size_t
recut(uint8_t *dst, const uint8_t *p, size_t len, size_t n)
{
    size_t   pos, part;
    uint8_t  *start;

    start = dst;

    for (pos = 5; pos < len; pos += part) {
        part = (len - pos < n) ? len - pos : n;

        memcpy(dst, p, 3);
        dst[3] = (uint8_t) (part >> 8);
        dst[4] = (uint8_t) part;
        memcpy(dst + 5, p + pos, part);

        dst += 5 + part;
    }

    return (size_t) (dst - start);
}


static void
test_hello(void)
{
    int       slot;
    size_t    i, n, v, len, size, wrong;
    uint8_t   buf[1024], many[6 * 1024];

    for (i = 0; i < nelts(hellos); i++) {
        len = hellos[i].len;
        memcpy(buf, hellos[i].data, len);

        is_int(slot_of(buf, len), hellos[i].slot, "%s", hellos[i].what);

        wrong = 0;

        for (n = 0; n < len; n++) {
            wrong += slot_of(buf, n) != TRP_AGAIN;
        }

        is_int(wrong, 0, "cut at every length");

        memset(buf + len, 0x16, 64);
        is_int(slot_of(buf, len + 64), hellos[i].slot, "bytes behind it");

        wrong = 0;

        for (n = 0; n < len; n++) {
            for (v = 1; v < 256; v++) {
                buf[n] ^= (uint8_t) v;

                slot = slot_of(buf, len);
                wrong += slot >= TRP_SLOTS
                         || (slot < 0 && slot != TRP_AGAIN
                             && slot != TRP_DECLINED);

                buf[n] ^= (uint8_t) v;
            }
        }

        is_int(wrong, 0, "every byte with every other value");

        /* a record that says that it holds less: another one is missing */

        wrong = 0;

        for (n = 1; n < len - 5; n++) {
            buf[3] = (uint8_t) (n >> 8);
            buf[4] = (uint8_t) n;

            wrong += slot_of(buf, 5 + n) != TRP_AGAIN;
        }

        is_int(wrong, 0, "the record cut at every length");

        /* in records of every length */

        wrong = 0;

        for (n = 1; n < len - 5; n++) {
            size = recut(many, hellos[i].data, len, n);

            wrong += slot_of(many, size) != hellos[i].slot;
            wrong += slot_of(many, size - 1) != TRP_AGAIN;
        }

        is_int(wrong, 0, "in several records");
    }

    is_int(slot_of((const uint8_t *) "", 0), TRP_AGAIN, "nothing yet");
    is_int(slot_of((const uint8_t *) "G", 1), TRP_DECLINED, "HTTP");
    is_int(slot_of((const uint8_t *) "\200", 1), TRP_DECLINED, "SSLv2");
    is_int(slot_of((const uint8_t *) "\26\3\1\0\4\2\0\0\0", 9), TRP_DECLINED,
           "ServerHello");
    is_int(slot_of((const uint8_t *) "\26\3\1\100\1\1\0\0\0", 9),
           TRP_DECLINED, "a record that is too long");
    is_int(slot_of((const uint8_t *) "\26\3\1\100\0\1\0\0\0", 9),
           TRP_DECLINED, "the longest record, of nothing");
    is_int(slot_of((const uint8_t *) "\26\3\1\100\0\1\0\77\374", 9),
           TRP_AGAIN, "the longest record");
    is_int(slot_of((const uint8_t *) "\26\3\1\100\0\1\0\77\375", 9),
           TRP_DECLINED, "a ClientHello that is too long");
    is_int(slot_of((const uint8_t *) "\26\3\1\0\0\26", 6), TRP_DECLINED,
           "an empty record");
    is_int(slot_of((const uint8_t *) "\26\3\1\0\1\1\24", 7), TRP_DECLINED,
           "something else in between");
}


/* ALPN lists in the place of the one of tls13_hint, which has 18 bytes */

static void
test_alpn(void)
{
    size_t    i, at;
    uint8_t   buf[sizeof(tls13_hint)];

    static const struct {
        const char  *what;
        const char  *list;
        int          slot;
    } lists[] = {
        { "as it was", "\0\22\5trp/2\13trp-slot/17", 17 },
        { "another slot", "\0\22\5trp/2\13trp-slot/05", 5 },
        { "a name cut off", "\0\22\5trp/2\14trp-slot/17", TRP_DECLINED },
        { "a name that takes the hint", "\0\22\21trp/2\13trp-slot/17",
          TRP_DECLINED },
        { "a name past the end", "\0\22\377trp/2\13trp-slot/17",
          TRP_DECLINED },
        { "empty names", "\0\22\0\0\0\0\0\0\13trp-slot/33", 33 },
        { "two hints", "\0\22\13trp-slot/01\1a\1b\1c", 1 },
        { "a slot too large, then nothing", "\0\22\5trp/2\13trp-slot/64",
          TRP_DECLINED }
    };

    at = 0;

    while (memcmp(tls13_hint + at, "\0\20\0\24\0\22\5trp/2", 12) != 0) {
        at++;
    }

    for (i = 0; i < nelts(lists); i++) {
        memcpy(buf, tls13_hint, sizeof(buf));
        memcpy(buf + at + 4, lists[i].list, 20);
        is_int(slot_of(buf, sizeof(buf)), lists[i].slot, "ALPN list, %s",
               lists[i].what);
    }
}


int
main(void)
{
    test_round_trip();
    test_bytes();
    test_truncated();
    test_spare();
    test_unix();
    test_damaged();
    test_refused();
    test_limits();
    test_reader();
    test_reader_data();
    test_skip();
    test_labels();
    test_slots();
    test_codes();
    test_hello();
    test_alpn();

    return done_testing();
}
