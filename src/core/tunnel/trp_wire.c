
/*
 * Copyright (C) the trp authors
 */


/*
 * Frames and payloads as bytes.  A cursor reads payloads: it never goes past
 * their end, and remembers an attempt to.  The lengths that each type allows
 * are in trp_frame_limits().
 */


#include <string.h>

#include "tunnel/trp_wire.h"
#include "tunnel/trp_publish.h"
#include "base/trp_addr.h"
#include "base/trp_bytes.h"
#include "base/trp_path.h"


/* lengths of TLS headers, and of a record's payload at most */
#define TRP_TLS_RECORD     5
#define TRP_TLS_HANDSHAKE  4
#define TRP_TLS_MAX        16384


typedef struct {
    const uint8_t  *pos;
    const uint8_t  *end;
    int             error;
} trp_cursor_t;


static void trp_put_optional(uint8_t *start);
static uint8_t *trp_put_u16(uint8_t *p, unsigned v);
static uint8_t *trp_put_bytes(uint8_t *p, const void *data, size_t len);
static uint8_t *trp_put_str(uint8_t *p, trp_str_t str);
static uint8_t *trp_put_endpoint(uint8_t *p, const trp_addr_t *addr,
    trp_str_t host, uint16_t port);
static uint8_t *trp_put_end(uint8_t *start, uint8_t *end, unsigned type);
static unsigned trp_get_uint(trp_cursor_t *cur, size_t size);
static uint64_t trp_get_u64(trp_cursor_t *cur);
static const uint8_t *trp_get_bytes(trp_cursor_t *cur, size_t len);
static trp_str_t trp_get_str(trp_cursor_t *cur);
static void trp_get_copy(trp_cursor_t *cur, void *dst, size_t len);
static uint16_t trp_get_endpoint(trp_cursor_t *cur, trp_addr_t *addr,
    trp_str_t *host);
static int trp_hello_find_slot(const uint8_t *p, size_t len);
static int trp_open_get_path(trp_open_t *open, trp_cursor_t *cur);


static const trp_str_t  trp_no_host = { 0, NULL };
static const trp_str_t  trp_unix = trp_string("unix");


/* the minimum and maximum payload of each known type */

static int
trp_frame_limits(unsigned type, size_t *min, size_t *max)
{
    *min = 0;
    *max = 0;

    switch (type) {

    case TRP_HELLO:
        *min = 1 + TRP_NONCE_LEN + 4;
        *max = TRP_CONTROL_MAX;
        return 1;

    case TRP_AUTH:
        *min = 2 + 2 + 2 + 32 + TRP_NONCE_LEN + TRP_SIGNATURE_LEN;
        *max = TRP_CONTROL_MAX;
        return 1;

    case TRP_READY:
        *min = 3;
        *max = TRP_CONTROL_MAX;
        return 1;

    case TRP_MOVED:
    case TRP_AGENTS:
        *min = 1;
        *max = TRP_CONTROL_MAX;
        return 1;

    case TRP_PUBLISH:
    case TRP_PUBLISHED:
        *min = 1 + 1 + 1;
        *max = TRP_CONTROL_MAX;
        return 1;

    case TRP_ERRMSG:
    case TRP_REFUSE:
        *min = 2;
        *max = 2 + TRP_TEXT_MAX;
        return 1;

    case TRP_OPEN:
        *min = 1 + TRP_STREAM_ID_LEN + 3 * (1 + 1 + 2) + 1 + 2 + 1;
        *max = TRP_CONTROL_MAX;
        return 1;

    case TRP_DATA:
        *max = TRP_DATA_MAX;
        return 1;

    case TRP_ACCEPT:
    case TRP_END:
    case TRP_RESET:
    case TRP_DONE:
    case TRP_PING:
    case TRP_PONG:
    case TRP_DRAIN:
        return 1;
    }

    return 0;
}


uint8_t *
trp_header_put(uint8_t *p, unsigned type, size_t len)
{
    trp_assert(len <= 0xffff);

    *p++ = (uint8_t) type;
    *p++ = 0;

    return trp_put_u16(p, (unsigned) len);
}


void
trp_reader_init(trp_reader_t *r, uint8_t *buf)
{
    r->buf = buf;
    r->have = 0;
    r->left = 0;
    r->payload = 0;
    r->skip = 0;
    r->data = 0;
}


uint8_t *
trp_reader_space(trp_reader_t *r, size_t *size)
{
    *size = (r->payload ? r->frame.len : TRP_HEADER_LEN) - r->have;

    return (r->payload ? r->buf : r->header) + r->have;
}


static int
trp_reader_header(trp_reader_t *r)
{
    size_t  min, max;

    r->frame.type = r->header[0];
    r->frame.flags = r->header[1];
    r->frame.len = trp_read16(r->header + 2);
    r->have = 0;
    r->skip = 0;
    r->data = 0;

    if (!trp_frame_limits(r->frame.type, &min, &max)) {
        if (!(r->frame.flags & TRP_FLAG_OPTIONAL)) {
            return TRP_ERROR;
        }

        min = 0;
        max = TRP_CONTROL_MAX;
        r->skip = 1;
    }

    if (r->frame.len < min || r->frame.len > max) {
        return TRP_ERROR;
    }

    if (r->frame.type == TRP_DATA) {
        r->left = r->frame.len;
        r->data = 1;
        return TRP_DECLINED;
    }

    if (r->frame.len == 0) {
        return r->skip ? TRP_AGAIN : TRP_OK;
    }

    r->payload = 1;

    return TRP_AGAIN;
}


int
trp_reader_commit(trp_reader_t *r, size_t n)
{
    r->have += n;

    if (!r->payload) {
        return (r->have < TRP_HEADER_LEN) ? TRP_AGAIN : trp_reader_header(r);
    }

    if (r->have < r->frame.len) {
        return TRP_AGAIN;
    }

    r->have = 0;
    r->payload = 0;

    return r->skip ? TRP_AGAIN : TRP_OK;
}


void
trp_reader_take(trp_reader_t *r, size_t n)
{
    r->left -= n;

    if (r->left == 0) {
        r->data = 0;
    }
}


uint8_t *
trp_empty_put(uint8_t *p, unsigned type)
{
    return trp_header_put(p, type, 0);
}


uint8_t *
trp_hello_put(uint8_t *p, const trp_hello_t *hello)
{
    uint8_t  *start;

    start = p;
    p += TRP_HEADER_LEN;

    *p++ = hello->version;
    p = trp_put_bytes(p, hello->nonce, TRP_NONCE_LEN);
    trp_write32(p, hello->heartbeat);
    p += 4;
    *p++ = hello->flags;

    return trp_put_end(start, p, TRP_HELLO);
}


int
trp_hello_get(trp_hello_t *hello, const uint8_t *p, size_t len)
{
    trp_cursor_t  cur = { p, p + len, 0 };

    hello->version = (uint8_t) trp_get_uint(&cur, 1);
    trp_get_copy(&cur, hello->nonce, TRP_NONCE_LEN);
    hello->heartbeat = trp_get_uint(&cur, 4);
    hello->flags = 0;

    if (!cur.error && cur.pos < cur.end) {
        hello->flags = (uint8_t) trp_get_uint(&cur, 1);
    }

    return cur.error ? TRP_ERROR : TRP_OK;
}


uint8_t *
trp_auth_put(uint8_t *p, const trp_auth_t *auth)
{
    uint8_t  *start;

    start = p;
    p += TRP_HEADER_LEN;

    *p++ = auth->version;
    *p++ = auth->role;
    p = trp_put_str(p, auth->group);
    p = trp_put_str(p, auth->name);
    p = trp_put_bytes(p, auth->public_key, 32);
    p = trp_put_bytes(p, auth->nonce, TRP_NONCE_LEN);
    p = trp_put_bytes(p, auth->signature, TRP_SIGNATURE_LEN);
    p = trp_put_u16(p, auth->weight);
    *p++ = auth->backup;
    *p++ = auth->flags;

    trp_write32(p, (uint32_t) (auth->list >> 32));
    trp_write32(p + 4, (uint32_t) auth->list);
    p += 8;

    return trp_put_end(start, p, TRP_AUTH);
}


int
trp_auth_get(trp_auth_t *auth, const uint8_t *p, size_t len)
{
    trp_cursor_t  cur = { p, p + len, 0 };

    auth->version = (uint8_t) trp_get_uint(&cur, 1);
    auth->role = (uint8_t) trp_get_uint(&cur, 1);
    auth->group = trp_get_str(&cur);
    auth->name = trp_get_str(&cur);
    trp_get_copy(&cur, auth->public_key, 32);
    trp_get_copy(&cur, auth->nonce, TRP_NONCE_LEN);
    trp_get_copy(&cur, auth->signature, TRP_SIGNATURE_LEN);

    auth->weight = (uint16_t) trp_get_uint(&cur, 2);
    auth->backup = (uint8_t) trp_get_uint(&cur, 1);

    auth->flags = 0;
    auth->list = 0;

    if (!cur.error && cur.pos < cur.end) {
        auth->flags = (uint8_t) trp_get_uint(&cur, 1);
    }

    if (cur.end - cur.pos >= 8) {
        auth->list = trp_get_u64(&cur);
    }

    if (cur.error
        || auth->weight == 0
        || auth->backup > 1
        || !trp_label_valid(auth->group)
        || !trp_label_valid(auth->name))
    {
        return TRP_ERROR;
    }

    return TRP_OK;
}


uint8_t *
trp_ready_put(uint8_t *p, const trp_ready_t *ready)
{
    uint8_t  *start;

    start = p;
    p += TRP_HEADER_LEN;

    *p++ = ready->slot;
    p = trp_put_u16(p, ready->wanted);
    *p++ = ready->flags;

    return trp_put_end(start, p, TRP_READY);
}


int
trp_ready_get(trp_ready_t *ready, const uint8_t *p, size_t len)
{
    trp_cursor_t  cur = { p, p + len, 0 };

    ready->slot = (uint8_t) trp_get_uint(&cur, 1);
    ready->wanted = (uint16_t) trp_get_uint(&cur, 2);
    ready->flags = 0;

    if (!cur.error && cur.pos < cur.end) {
        ready->flags = (uint8_t) trp_get_uint(&cur, 1);
    }

    return (cur.error || ready->slot >= TRP_SLOTS) ? TRP_ERROR : TRP_OK;
}


uint8_t *
trp_moved_put(uint8_t *p, uint8_t slot)
{
    p = trp_header_put(p, TRP_MOVED, 1);
    *p++ = slot;

    return p;
}


int
trp_moved_get(uint8_t *slot, const uint8_t *p, size_t len)
{
    trp_cursor_t  cur = { p, p + len, 0 };

    *slot = (uint8_t) trp_get_uint(&cur, 1);

    return (cur.error || *slot >= TRP_SLOTS) ? TRP_ERROR : TRP_OK;
}


uint8_t *
trp_agents_put(uint8_t *p, uint8_t there)
{
    uint8_t  *start;

    start = p;
    p = trp_header_put(p, TRP_AGENTS, 1);
    *p++ = there;

    trp_put_optional(start);

    return p;
}


int
trp_agents_get(uint8_t *there, const uint8_t *p, size_t len)
{
    trp_cursor_t  cur = { p, p + len, 0 };

    *there = (uint8_t) trp_get_uint(&cur, 1);

    return (cur.error || *there > 1) ? TRP_ERROR : TRP_OK;
}


uint8_t *
trp_publish_put(uint8_t *p, const trp_str_t *names, size_t n, size_t *put)
{
    size_t    i;
    uint8_t  *start, *end;

    start = p;
    end = p + TRP_HEADER_LEN + TRP_CONTROL_MAX;
    p += TRP_HEADER_LEN + 1;

    for (i = 0; i < n && (size_t) (end - p) > names[i].len; i++) {
        p = trp_put_str(p, names[i]);
    }

    start[TRP_HEADER_LEN] = (i == n) ? TRP_PUBLISH_LAST : 0;
    *put = i;

    trp_put_end(start, p, TRP_PUBLISH);
    trp_put_optional(start);

    return p;
}


int
trp_publish_get(trp_publish_frame_t *publish, const uint8_t *p, size_t len)
{
    trp_str_t     name;
    trp_cursor_t  cur = { p, p + len, 0 };

    publish->flags = (uint8_t) trp_get_uint(&cur, 1);
    publish->pos = cur.pos;
    publish->end = cur.end;

    do {
        name = trp_get_str(&cur);

        if (cur.error || !trp_service_valid(name)) {
            return TRP_ERROR;
        }
    } while (cur.pos < cur.end);

    return TRP_OK;
}


int
trp_publish_next(trp_publish_frame_t *publish, trp_str_t *name)
{
    trp_cursor_t  cur = { publish->pos, publish->end, 0 };

    *name = trp_get_str(&cur);

    if (cur.error) {
        return TRP_DECLINED;
    }

    publish->pos = cur.pos;

    return TRP_OK;
}


uint8_t *
trp_published_put(uint8_t *p, uint8_t code, trp_str_t name)
{
    uint8_t  *start;

    start = p;
    p += TRP_HEADER_LEN;

    *p++ = code;
    p = trp_put_str(p, name);

    trp_put_end(start, p, TRP_PUBLISHED);
    trp_put_optional(start);

    return p;
}


int
trp_published_get(uint8_t *code, trp_str_t *name, const uint8_t *p,
    size_t len)
{
    trp_cursor_t  cur = { p, p + len, 0 };

    *code = (uint8_t) trp_get_uint(&cur, 1);
    *name = trp_get_str(&cur);

    return (cur.error || !trp_service_valid(*name)) ? TRP_ERROR : TRP_OK;
}


uint8_t *
trp_refuse_put(uint8_t *p, unsigned type, const trp_refuse_t *refuse)
{
    size_t    len;
    uint8_t  *start;

    start = p;
    p += TRP_HEADER_LEN;

    *p++ = refuse->code;
    *p++ = refuse->retry;

    len = refuse->text.len;
    p = trp_put_bytes(p, refuse->text.data,
                      len < TRP_TEXT_MAX ? len : TRP_TEXT_MAX);

    return trp_put_end(start, p, type);
}


int
trp_refuse_get(trp_refuse_t *refuse, const uint8_t *p, size_t len)
{
    size_t        i;
    trp_cursor_t  cur = { p, p + len, 0 };

    refuse->code = (uint8_t) trp_get_uint(&cur, 1);
    refuse->retry = (uint8_t) trp_get_uint(&cur, 1);

    if (cur.error) {
        return TRP_ERROR;
    }

    refuse->text.len = (size_t) (cur.end - cur.pos);
    refuse->text.data = cur.pos;

    /* the text goes to a log */

    for (i = 0; i < refuse->text.len; i++) {
        if (refuse->text.data[i] < 0x20 || refuse->text.data[i] > 0x7e) {
            return TRP_ERROR;
        }
    }

    return TRP_OK;
}


uint8_t *
trp_open_put(uint8_t *p, const trp_open_t *open)
{
    int         unix_socket;
    uint8_t    *start;
    trp_str_t   path;

    start = p;
    p += TRP_HEADER_LEN;

    unix_socket = (open->addr.family == 0 && trp_path_get(open->host, &path));

    *p++ = open->proto | (unix_socket ? TRP_PROTO_UNIX : 0);
    p = trp_put_bytes(p, open->id, TRP_STREAM_ID_LEN);

    /* a path is at the end; here it would end the tunnels of older peers */

    p = trp_put_endpoint(p, &open->addr, unix_socket ? trp_unix : open->host,
                         unix_socket ? 1 : open->port);
    p = trp_put_endpoint(p, &open->user, trp_no_host, open->user_port);
    p = trp_put_endpoint(p, &open->local, trp_no_host, open->local_port);
    p = trp_put_str(p, open->name);
    *p++ = open->flags;
    *p++ = open->retries;
    p = trp_put_u16(p, (uint16_t) TRP_SPARE_UNKNOWN);

    if (unix_socket) {
        p = trp_put_str(p, open->host);
    }

    return trp_put_end(start, p, TRP_OPEN);
}


int
trp_open_get(trp_open_t *open, const uint8_t *p, size_t len)
{
    trp_str_t     host;
    trp_cursor_t  cur = { p, p + len, 0 };

    open->proto = (uint8_t) trp_get_uint(&cur, 1);
    trp_get_copy(&cur, open->id, TRP_STREAM_ID_LEN);
    open->port = trp_get_endpoint(&cur, &open->addr, &open->host);
    open->user_port = trp_get_endpoint(&cur, &open->user, &host);
    open->local_port = trp_get_endpoint(&cur, &open->local, &host);
    open->name = trp_get_str(&cur);
    open->flags = (uint8_t) trp_get_uint(&cur, 1);
    open->retries = (uint8_t) trp_get_uint(&cur, 1);

    open->spare = TRP_SPARE_UNKNOWN;
    open->spare_at = 0;

    if (!cur.error && cur.end - cur.pos >= 2) {
        open->spare_at = (uint16_t) (cur.pos - p);
        open->spare = (int16_t) trp_get_uint(&cur, 2);
    }

    if (cur.error
        || open->port == 0
        || (open->addr.family == 0 && !trp_name_valid(open->host))
        || !trp_label_valid(open->name))
    {
        return TRP_ERROR;
    }

    return (open->proto & TRP_PROTO_UNIX) ? trp_open_get_path(open, &cur)
                                          : TRP_OK;
}


/* in place of the host and the port */

static int
trp_open_get_path(trp_open_t *open, trp_cursor_t *cur)
{
    trp_str_t  path;

    memset(&open->addr, 0, sizeof(trp_addr_t));
    open->port = 0;
    open->host = trp_get_str(cur);

    return (!cur->error && open->spare_at
            && trp_path_get(open->host, &path) && trp_path_valid(path))
           ? TRP_OK : TRP_ERROR;
}


uint8_t *
trp_open_end(uint8_t *frame, size_t len)
{
    trp_open_t  open;

    if ((frame[TRP_HEADER_LEN] & TRP_PROTO_UNIX) == 0
        || trp_open_get(&open, frame + TRP_HEADER_LEN, len - TRP_HEADER_LEN)
           != TRP_OK)
    {
        return frame + len;
    }

    return frame + TRP_HEADER_LEN + open.spare_at + TRP_OPEN_SPARE;
}


void
trp_open_set_spare(const trp_open_t *open, uint8_t *payload, int spare)
{
    if (open->spare_at) {
        trp_open_put_spare(payload + open->spare_at + TRP_OPEN_SPARE, spare);
    }
}


void
trp_open_put_spare(uint8_t *last, int spare)
{
    if (spare > TRP_SPARE_MAX) {
        spare = TRP_SPARE_MAX;
    }

    if (spare < -TRP_SPARE_MAX && spare != TRP_SPARE_UNKNOWN) {
        spare = -TRP_SPARE_MAX;
    }

    (void) trp_put_u16(last - TRP_OPEN_SPARE, (uint16_t) spare);
}


int
trp_label_valid(trp_str_t label)
{
    size_t   i;
    uint8_t  ch;

    if (label.len == 0 || label.len > TRP_LABEL_MAX) {
        return 0;
    }

    for (i = 0; i < label.len; i++) {
        ch = label.data[i];

        if ((ch >= 'a' && ch <= 'z')
            || (ch >= 'A' && ch <= 'Z')
            || (ch >= '0' && ch <= '9'))
        {
            continue;
        }

        if (ch == '\0' || strchr("._-@:+/", ch) == NULL) {
            return 0;
        }
    }

    return 1;
}


/* FNV-1a, folded: only spreads the groups, is not secret */

unsigned
trp_slot(trp_str_t group)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < group.len; i++) {
        hash = (hash ^ group.data[i]) * 16777619u;
    }

    hash ^= hash >> 16;
    hash ^= hash >> 6;

    return hash % TRP_SLOTS;
}


int
trp_slot_parse(trp_str_t alpn)
{
    int             slot;
    size_t          prefix;
    const uint8_t  *p;

    prefix = sizeof(TRP_ALPN_SLOT) - 1;

    if (alpn.len != prefix + 2
        || memcmp(alpn.data, TRP_ALPN_SLOT, prefix) != 0)
    {
        return -1;
    }

    p = alpn.data + prefix;

    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') {
        return -1;
    }

    slot = (p[0] - '0') * 10 + (p[1] - '0');

    return (slot < TRP_SLOTS) ? slot : -1;
}


const char *
trp_frame_name(unsigned type)
{
    switch (type) {

    case TRP_HELLO:
        return "HELLO";

    case TRP_AUTH:
        return "AUTH";

    case TRP_READY:
        return "READY";

    case TRP_MOVED:
        return "MOVED";

    case TRP_ERRMSG:
        return "ERROR";

    case TRP_OPEN:
        return "OPEN";

    case TRP_ACCEPT:
        return "ACCEPT";

    case TRP_REFUSE:
        return "REFUSE";

    case TRP_DATA:
        return "DATA";

    case TRP_END:
        return "END";

    case TRP_RESET:
        return "RESET";

    case TRP_DONE:
        return "DONE";

    case TRP_PING:
        return "PING";

    case TRP_PONG:
        return "PONG";

    case TRP_DRAIN:
        return "DRAIN";

    case TRP_AGENTS:
        return "AGENTS";

    case TRP_PUBLISH:
        return "PUBLISH";

    case TRP_PUBLISHED:
        return "PUBLISHED";
    }

    return "unknown";
}


const char *
trp_code_text(unsigned code)
{
    switch (code) {

    case TRP_CODE_NONE:
        return "ok";

    case TRP_CODE_PROTOCOL:
        return "protocol error";

    case TRP_CODE_NOT_AUTHORIZED:
        return "not authorized";

    case TRP_CODE_NO_AGENT:
        return "no agent";

    case TRP_CODE_DRAINING:
        return "draining";

    case TRP_CODE_NOT_ALLOWED:
        return "not allowed";

    case TRP_CODE_NO_SUCH_HOST:
        return "no such host";

    case TRP_CODE_REFUSED:
        return "refused";

    case TRP_CODE_TIMED_OUT:
        return "timed out";

    case TRP_CODE_LIMIT:
        return "over the limit";

    case TRP_CODE_NET_UNREACHABLE:
        return "network unreachable";

    case TRP_CODE_HOST_UNREACHABLE:
        return "host unreachable";

    case TRP_CODE_NOT_PUBLISHED:
        return "not published";

    case TRP_CODE_TAKEN:
        return "taken";
    }

    return "failed";
}


/* the ALPN extension's body: a list of protocol names */

static int
trp_alpn_slot(trp_cursor_t *cur)
{
    int        slot;
    trp_str_t  name;

    (void) trp_get_uint(cur, 2);

    while (!cur->error && cur->pos < cur->end) {
        name = trp_get_str(cur);

        if (cur->error) {
            break;
        }

        slot = trp_slot_parse(name);

        if (slot >= 0) {
            return slot;
        }
    }

    return TRP_DECLINED;
}


int
trp_hello_slot(uint8_t *p, size_t len)
{
    size_t   pos, size, here, n, need;

    /* record: type 22, version 3.x, length; handshake: type 1, length */

    pos = 0;
    n = 0;
    need = TRP_TLS_HANDSHAKE;

    while (pos < len) {

        if (p[pos] != 22) {
            return TRP_DECLINED;
        }

        if (len - pos < TRP_TLS_RECORD) {
            return TRP_AGAIN;
        }

        size = trp_read16(p + pos + 3);

        if (size == 0 || size > TRP_TLS_MAX) {
            return TRP_DECLINED;
        }

        pos += TRP_TLS_RECORD;
        here = (size < len - pos) ? size : len - pos;

        memmove(p + n, p + pos, here);

        n += here;
        pos += here;

        if (n && p[0] != 1) {
            return TRP_DECLINED;
        }

        if (n >= TRP_TLS_HANDSHAKE) {
            need = TRP_TLS_HANDSHAKE
                   + ((size_t) p[1] << 16 | trp_read16(p + 2));
        }

        if (need > TRP_TLS_MAX) {
            return TRP_DECLINED;
        }

        if (n >= need) {
            return trp_hello_find_slot(p, need);
        }
    }

    return TRP_AGAIN;
}


static int
trp_hello_find_slot(const uint8_t *p, size_t len)
{
    size_t          size;
    unsigned        type;
    trp_cursor_t    cur, ext;

    cur.pos = p + TRP_TLS_HANDSHAKE;
    cur.end = p + len;
    cur.error = 0;

    (void) trp_get_bytes(&cur, 2 + 32);
    (void) trp_get_bytes(&cur, trp_get_uint(&cur, 1));
    (void) trp_get_bytes(&cur, trp_get_uint(&cur, 2));
    (void) trp_get_bytes(&cur, trp_get_uint(&cur, 1));
    (void) trp_get_uint(&cur, 2);

    while (!cur.error && cur.pos < cur.end) {
        type = trp_get_uint(&cur, 2);
        size = trp_get_uint(&cur, 2);

        ext.pos = trp_get_bytes(&cur, size);

        if (ext.pos == NULL) {
            break;
        }

        if (type == 16) {
            ext.end = ext.pos + size;
            ext.error = 0;

            return trp_alpn_slot(&ext);
        }
    }

    return TRP_DECLINED;
}


/* a frame that is skipped by a peer that does not know it */

static void
trp_put_optional(uint8_t *start)
{
    start[1] |= TRP_FLAG_OPTIONAL;
}


static uint8_t *
trp_put_u16(uint8_t *p, unsigned v)
{
    trp_write16(p, (uint16_t) v);

    return p + 2;
}


static uint8_t *
trp_put_bytes(uint8_t *p, const void *data, size_t len)
{
    if (len) {
        memcpy(p, data, len);
    }

    return p + len;
}


/* strings on the wire are at most 255 bytes long */

static uint8_t *
trp_put_str(uint8_t *p, trp_str_t str)
{
    trp_assert(str.len <= 0xff);

    *p++ = (uint8_t) str.len;

    return trp_put_bytes(p, str.data, str.len);
}


static uint8_t *
trp_put_endpoint(uint8_t *p, const trp_addr_t *addr, trp_str_t host,
    uint16_t port)
{
    *p++ = addr->family;

    if (addr->family) {
        p = trp_put_bytes(p, addr->bytes, trp_addr_len(addr));

    } else {
        p = trp_put_str(p, host);
    }

    return trp_put_u16(p, port);
}


static uint8_t *
trp_put_end(uint8_t *start, uint8_t *end, unsigned type)
{
    trp_header_put(start, type, (size_t) (end - start) - TRP_HEADER_LEN);

    return end;
}


static unsigned
trp_get_uint(trp_cursor_t *cur, size_t size)
{
    unsigned        v;
    const uint8_t  *p;

    p = trp_get_bytes(cur, size);

    if (p == NULL) {
        return 0;
    }

    for (v = 0; size; size--) {
        v = v << 8 | *p++;
    }

    return v;
}


static uint64_t
trp_get_u64(trp_cursor_t *cur)
{
    uint64_t  high;

    high = trp_get_uint(cur, 4);

    return high << 32 | trp_get_uint(cur, 4);
}


static const uint8_t *
trp_get_bytes(trp_cursor_t *cur, size_t len)
{
    const uint8_t  *p;

    if (cur->error || (size_t) (cur->end - cur->pos) < len) {
        cur->error = 1;
        return NULL;
    }

    p = cur->pos;
    cur->pos += len;

    return p;
}


static trp_str_t
trp_get_str(trp_cursor_t *cur)
{
    trp_str_t  str;

    str.len = trp_get_uint(cur, 1);
    str.data = trp_get_bytes(cur, str.len);

    if (str.data == NULL) {
        str.len = 0;
    }

    return str;
}


static void
trp_get_copy(trp_cursor_t *cur, void *dst, size_t len)
{
    const uint8_t  *p;

    p = trp_get_bytes(cur, len);

    if (p) {
        memcpy(dst, p, len);
    }
}


static uint16_t
trp_get_endpoint(trp_cursor_t *cur, trp_addr_t *addr, trp_str_t *host)
{
    memset(addr, 0, sizeof(trp_addr_t));

    *host = trp_no_host;
    addr->family = (uint8_t) trp_get_uint(cur, 1);

    switch (addr->family) {

    case 0:
        *host = trp_get_str(cur);
        break;

    case 4:
    case 6:
        trp_get_copy(cur, addr->bytes, trp_addr_len(addr));
        break;

    default:
        cur->error = 1;
    }

    return (uint16_t) trp_get_uint(cur, 2);
}
