
/*
 * Copyright (C) the trp authors
 */


/*
 * The destinations that a client sends datagrams to, found by address or name.
 * Their number is limited: the one not used for the longest time gives way.
 */


#include "socks5/ngx_trp_associate_dests.h"
#include "base/ngx_trp_memory.h"
#include "base/trp_bytes.h"

#include <sodium.h>


/* per association: each may take a tunnel */
#define NGX_TRP_ASSOCIATE_MAX    256

/* datagrams to a destination that was refused are dropped for so long */
#define NGX_TRP_ASSOCIATE_PAUSE  1000

/* family and port, and an address or a name */
#define NGX_TRP_ASSOCIATE_KEY    (3 + 255)


static size_t ngx_trp_associate_key(u_char *key, trp_socks5_addr_t *to);
static ngx_trp_associate_dest_t *ngx_trp_associate_find(
    ngx_trp_associate_dests_t *dests, u_char *key, size_t len);
static ngx_trp_associate_dest_t *ngx_trp_associate_add(
    ngx_trp_associate_dests_t *dests, trp_socks5_addr_t *to, u_char *key,
    size_t len);
static void ngx_trp_associate_remove(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_expire(ngx_event_t *ev);
static void ngx_trp_associate_debug(ngx_trp_associate_dest_t *dest,
    const char *what);


void
ngx_trp_associate_dests_init(ngx_trp_associate_dests_t *dests)
{
    dests->timer.data = dests;
    dests->timer.log = dests->log;
    dests->timer.handler = ngx_trp_associate_expire;

    ngx_trp_memory_init(&dests->memory, dests->log);

    randombytes_buf(dests->key, TRP_HASH_KEY_LEN);

    trp_hash_init(&dests->hash, dests->key, &dests->memory);
    ngx_queue_init(&dests->queue);
}


ngx_int_t
ngx_trp_associate_dests_send(ngx_trp_associate_dests_t *dests,
    trp_socks5_addr_t *to, u_char *p, size_t len)
{
    u_char                     key[NGX_TRP_ASSOCIATE_KEY];
    size_t                     key_len;
    ngx_trp_associate_dest_t  *dest;

    key_len = ngx_trp_associate_key(key, to);
    dest = ngx_trp_associate_find(dests, key, key_len);

    if (dest && dest->refused) {

        if (ngx_current_msec - dest->used < NGX_TRP_ASSOCIATE_PAUSE) {
            return NGX_DECLINED;
        }

        ngx_trp_associate_remove(dest);
        dest = NULL;
    }

    if (dest == NULL) {
        dest = ngx_trp_associate_add(dests, to, key, key_len);

        if (dest == NULL) {
            return NGX_OK;
        }
    }

    ngx_trp_associate_dests_used(dest);
    dests->path->send(dest, p, len);

    return NGX_OK;
}


static size_t
ngx_trp_associate_key(u_char *key, trp_socks5_addr_t *to)
{
    u_char  *p;

    p = key;

    *p++ = to->addr.family;

    trp_write16(p, to->port);
    p += 2;

    if (to->addr.family) {
        p = ngx_cpymem(p, to->addr.bytes, trp_addr_len(&to->addr));

    } else {
        p = ngx_cpymem(p, to->host.data, ngx_min(to->host.len, 255));
    }

    return p - key;
}


static ngx_trp_associate_dest_t *
ngx_trp_associate_find(ngx_trp_associate_dests_t *dests, u_char *key,
    size_t len)
{
    trp_hash_t                *hash;
    trp_hash_node_t           *node;
    ngx_trp_associate_dest_t  *dest;

    hash = &dests->hash;

    node = trp_hash_find(hash, trp_hash(hash, key, len));

    for ( /* void */ ; node; node = trp_hash_next(node)) {
        dest = trp_of(ngx_trp_associate_dest_t, node, node);

        if (dest->len == len && ngx_memcmp(dest->key, key, len) == 0) {
            return dest;
        }
    }

    return NULL;
}


static ngx_trp_associate_dest_t *
ngx_trp_associate_add(ngx_trp_associate_dests_t *dests, trp_socks5_addr_t *to,
    u_char *key, size_t len)
{
    ngx_queue_t               *q;
    ngx_trp_associate_dest_t  *dest;

    if (dests->hash.n == NGX_TRP_ASSOCIATE_MAX) {
        q = ngx_queue_last(&dests->queue);
        ngx_trp_associate_remove(ngx_queue_data(q, ngx_trp_associate_dest_t,
                                                queue));
    }

    dest = ngx_calloc(dests->path->size + len, dests->log);
    if (dest == NULL) {
        return NULL;
    }

    dest->associate = dests->associate;
    dest->dests = dests;
    dest->addr = *to;
    dest->len = len;
    dest->key = (u_char *) dest + dests->path->size;
    ngx_memcpy(dest->key, key, len);

    if (to->addr.family == 0) {
        dest->addr.host.data = dest->key + 3;
        dest->addr.host.len = len - 3;
    }

    trp_hash_insert(&dests->hash, &dest->node,
                    trp_hash(&dests->hash, key, len));
    ngx_queue_insert_head(&dests->queue, &dest->queue);

    ngx_trp_associate_debug(dest, "added");

    if (dests->path->open(dest) != NGX_OK) {
        dest->refused = 1;
        ngx_trp_associate_remove(dest);
        return NULL;
    }

    return dest;
}


static void
ngx_trp_associate_remove(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_dests_t  *dests;

    dests = dest->dests;

    ngx_trp_associate_debug(dest, "forgotten");

    if (!dest->refused) {
        dests->path->close(dest);
    }

    trp_hash_remove(&dests->hash, &dest->node);
    ngx_queue_remove(&dest->queue);

    ngx_free(dest);
}


void
ngx_trp_associate_forget(ngx_trp_associate_dest_t *dest)
{
    dest->refused = 1;
    ngx_trp_associate_remove(dest);
}


void
ngx_trp_associate_evict(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_dests_t  *dests;

    dests = dest->dests;

    if (!dests->evicted) {
        dests->evicted = 1;
        ngx_log_error(NGX_LOG_INFO, dests->log, 0,
                      "SOCKS5 client has more destinations of datagrams than "
                      "there are tunnels for them, the one that was not used "
                      "for the longest time is forgotten");
    }

    ngx_trp_associate_remove(dest);
}


ngx_trp_associate_dest_t *
ngx_trp_associate_dests_last(ngx_trp_associate_dests_t *dests)
{
    ngx_queue_t               *q;
    ngx_trp_associate_dest_t  *dest;

    for (q = ngx_queue_last(&dests->queue);
         q != ngx_queue_sentinel(&dests->queue);
         q = ngx_queue_prev(q))
    {
        dest = ngx_queue_data(q, ngx_trp_associate_dest_t, queue);

        if (!dest->refused) {
            return dest;
        }
    }

    return NULL;
}


void
ngx_trp_associate_refuse(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_debug(dest, "refused");

    dest->refused = 1;
    ngx_trp_associate_dests_used(dest);
}


void
ngx_trp_associate_dests_used(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_dests_t  *dests;

    dests = dest->dests;

    dest->used = ngx_current_msec;

    ngx_queue_remove(&dest->queue);
    ngx_queue_insert_head(&dests->queue, &dest->queue);

    if (!dests->timer.timer_set) {
        ngx_add_timer(&dests->timer, dests->timeout);
    }
}


static void
ngx_trp_associate_expire(ngx_event_t *ev)
{
    ngx_msec_t                  idle;
    ngx_queue_t                *q;
    ngx_trp_associate_dest_t   *dest;
    ngx_trp_associate_dests_t  *dests;

    dests = ev->data;

    while (!ngx_queue_empty(&dests->queue)) {
        q = ngx_queue_last(&dests->queue);
        dest = ngx_queue_data(q, ngx_trp_associate_dest_t, queue);

        idle = ngx_current_msec - dest->used;

        if (idle < dests->timeout) {
            ngx_add_timer(ev, dests->timeout - idle);
            return;
        }

        ngx_trp_associate_remove(dest);
    }
}


void
ngx_trp_associate_dests_close(ngx_trp_associate_dests_t *dests)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&dests->queue)) {
        q = ngx_queue_head(&dests->queue);
        ngx_trp_associate_remove(ngx_queue_data(q, ngx_trp_associate_dest_t,
                                                queue));
    }

    trp_hash_done(&dests->hash);

    if (dests->timer.timer_set) {
        ngx_del_timer(&dests->timer);
    }
}


static void
ngx_trp_associate_debug(ngx_trp_associate_dest_t *dest, const char *what)
{
#if (NGX_DEBUG)

    u_char     text[TRP_ADDR_TEXT_LEN];
    trp_str_t  host;

    host = dest->addr.host;

    if (dest->addr.addr.family) {
        host.len = trp_addr_text(text, &dest->addr.addr);
        host.data = text;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_STREAM, dest->dests->log, 0,
                   "trp socks5 destination \"%*s\", port %ui, is %s",
                   host.len, host.data, (ngx_uint_t) dest->addr.port, what);

#endif
}
