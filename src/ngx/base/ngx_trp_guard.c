
/*
 * Copyright (C) the trp authors
 */


/*
 * Counts unauthenticated connections.  Sources, by address or by /64, are in a
 * tree, and in lists by the number of their connections, so that the one with
 * the most is found at once.
 */


#include "base/ngx_trp_guard.h"
#include "base/ngx_trp_addr.h"
#include "base/ngx_trp_capacity.h"


/* all guests from one IPv4 address or IPv6 /64 */

typedef struct {
    ngx_str_node_t         sn;
    ngx_queue_t            queue;        /* in guard->counts[n] */
    ngx_queue_t            guests;
    ngx_uint_t             n;
    trp_addr_t             addr;
} ngx_trp_guard_source_t;


struct ngx_trp_guest_s {
    ngx_queue_t              queue;      /* in guard->guests */
    ngx_queue_t              same;       /* in source->guests */
    ngx_trp_guard_t         *guard;
    ngx_trp_guard_source_t  *source;
    ngx_connection_t        *connection;
    ngx_msec_t               since;
    ngx_event_t              timer;
    unsigned                 here:1;
    unsigned                 settled:1;
};


static ngx_trp_guard_source_t *ngx_trp_guard_source(ngx_trp_guard_t *guard,
    ngx_connection_t *c);
static void ngx_trp_guard_count(ngx_trp_guard_t *guard,
    ngx_trp_guard_source_t *source, ngx_int_t n);
static ngx_int_t ngx_trp_guard_make_room(ngx_trp_guard_t *guard,
    ngx_trp_guard_source_t *source, ngx_connection_t *c);
static ngx_int_t ngx_trp_guard_oldest(ngx_trp_guest_t *guest,
    const char *where, ngx_connection_t *c);
static void ngx_trp_guard_give_way(ngx_trp_guest_t *guest, const char *where);
static void ngx_trp_guard_timeout(ngx_event_t *ev);
static void ngx_trp_guard_end(ngx_trp_guest_t *guest);
static void ngx_trp_guard_cleanup(void *data);


/* unauthenticated connections must not take all connections of the worker */

ngx_int_t
ngx_trp_guard_init(ngx_trp_guard_t *guard, ngx_cycle_t *cycle,
    ngx_uint_t parts)
{
    ngx_uint_t  i, max;

    max = ngx_max(ngx_trp_capacity_size(cycle) / parts, 1);

    guard->max = ngx_min(guard->max, max);
    guard->max_per_address = ngx_min(guard->max_per_address, max);

    ngx_queue_init(&guard->guests);

    ngx_rbtree_init(&guard->rbtree, &guard->sentinel,
                    ngx_str_rbtree_insert_value);

    /* one more for the connection that is just entering */

    guard->counts = ngx_palloc(cycle->pool, (guard->max_per_address + 2)
                                            * sizeof(ngx_queue_t));
    if (guard->counts == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < guard->max_per_address + 2; i++) {
        ngx_queue_init(&guard->counts[i]);
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_guard_enter(ngx_trp_guard_t *guard, ngx_connection_t *c,
    ngx_trp_guest_t **guestp)
{
    ngx_trp_guest_t         *guest;
    ngx_pool_cleanup_t      *cln;
    ngx_trp_guard_source_t  *source;

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_trp_guest_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    guest = cln->data;
    ngx_memzero(guest, sizeof(ngx_trp_guest_t));

    cln->handler = ngx_trp_guard_cleanup;

    source = ngx_trp_guard_source(guard, c);
    if (source == NULL) {
        return NGX_ERROR;
    }

    /* the source must not be freed with the last of its other guests */
    ngx_trp_guard_count(guard, source, 1);

    if (ngx_trp_guard_make_room(guard, source, c) != NGX_OK) {
        ngx_trp_guard_count(guard, source, -1);
        return NGX_BUSY;
    }

    guest->guard = guard;
    guest->source = source;
    guest->connection = c;
    guest->since = ngx_current_msec;
    guest->here = 1;

    ngx_queue_insert_tail(&guard->guests, &guest->queue);
    guard->n++;

    ngx_queue_insert_tail(&source->guests, &guest->same);

    *guestp = guest;

    return NGX_OK;
}


static ngx_trp_guard_source_t *
ngx_trp_guard_source(ngx_trp_guard_t *guard, ngx_connection_t *c)
{
    uint32_t                 hash;
    in_port_t                port;
    ngx_str_t                key;
    trp_addr_t               addr;
    ngx_trp_guard_source_t  *source;

    ngx_trp_addr_from_sockaddr(&addr, &port, c->sockaddr);
    (void) trp_addr_unmap(&addr);

    key.data = addr.bytes;
    key.len = (addr.family == 6) ? 8 : addr.family;

    hash = ngx_crc32_short(key.data, key.len);

    source = (ngx_trp_guard_source_t *) ngx_str_rbtree_lookup(&guard->rbtree,
                                                              &key, hash);
    if (source) {
        return source;
    }

    source = ngx_calloc(sizeof(ngx_trp_guard_source_t), c->log);
    if (source == NULL) {
        return NULL;
    }

    source->addr = addr;
    source->sn.node.key = hash;
    source->sn.str.len = key.len;
    source->sn.str.data = source->addr.bytes;

    ngx_queue_init(&source->guests);
    ngx_rbtree_insert(&guard->rbtree, &source->sn.node);

    return source;
}


/* moves the source to the list for its number; frees it if it has none */

static void
ngx_trp_guard_count(ngx_trp_guard_t *guard, ngx_trp_guard_source_t *source,
    ngx_int_t n)
{
    if (source->n) {
        ngx_queue_remove(&source->queue);
    }

    source->n += n;

    if (source->n) {
        ngx_queue_insert_tail(&guard->counts[source->n], &source->queue);
        guard->most = ngx_max(guard->most, source->n);

    } else {
        ngx_rbtree_delete(&guard->rbtree, &source->sn.node);
        ngx_free(source);
    }

    while (guard->most && ngx_queue_empty(&guard->counts[guard->most])) {
        guard->most--;
    }
}


static ngx_int_t
ngx_trp_guard_make_room(ngx_trp_guard_t *guard, ngx_trp_guard_source_t *source,
    ngx_connection_t *c)
{
    ngx_queue_t             *q;
    ngx_trp_guard_source_t  *most;

    if (source->n > guard->max_per_address) {
        q = ngx_queue_head(&source->guests);

        return ngx_trp_guard_oldest(ngx_queue_data(q, ngx_trp_guest_t, same),
                                    "from its address", c);
    }

    if (guard->n < guard->max) {
        return NGX_OK;
    }

    /* a client with many addresses still cannot take all places */

    q = ngx_queue_head(&guard->counts[guard->most]);
    most = ngx_queue_data(q, ngx_trp_guard_source_t, queue);

    if (most->n > source->n) {
        q = ngx_queue_head(&most->guests);
        ngx_trp_guard_give_way(ngx_queue_data(q, ngx_trp_guest_t, same),
                               "in this worker");
        return NGX_OK;
    }

    q = ngx_queue_head(&guard->guests);

    return ngx_trp_guard_oldest(ngx_queue_data(q, ngx_trp_guest_t, queue),
                                "in this worker", c);
}


static ngx_int_t
ngx_trp_guard_oldest(ngx_trp_guest_t *guest, const char *where,
    ngx_connection_t *c)
{
    if (ngx_current_msec - guest->since < NGX_TRP_GUARD_TIME) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "connection is closed: too many %s are not "
                      "authenticated", where);
        return NGX_BUSY;
    }

    ngx_trp_guard_give_way(guest, where);

    return NGX_OK;
}


static void
ngx_trp_guard_give_way(ngx_trp_guest_t *guest, const char *where)
{
    ngx_log_error(NGX_LOG_INFO, guest->connection->log, 0,
                  "connection gives way to another one: too many %s are not "
                  "authenticated", where);

    ngx_trp_guard_end(guest);
}


void
ngx_trp_guard_deadline(ngx_trp_guest_t *guest, ngx_msec_t msec)
{
    guest->timer.data = guest;
    guest->timer.log = guest->connection->log;
    guest->timer.handler = ngx_trp_guard_timeout;

    ngx_add_timer(&guest->timer, msec);
}


static void
ngx_trp_guard_timeout(ngx_event_t *ev)
{
    ngx_trp_guard_end(ev->data);
}


/* the current read handler closes it, as if it had timed out */

static void
ngx_trp_guard_end(ngx_trp_guest_t *guest)
{
    ngx_event_t  *rev;

    ngx_trp_guard_leave(guest);

    rev = guest->connection->read;
    rev->timedout = 1;

    ngx_post_event(rev, &ngx_posted_events);
}


ngx_trp_guest_t *
ngx_trp_guard_find(ngx_connection_t *c)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_trp_guard_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


ngx_msec_t
ngx_trp_guard_since(ngx_trp_guest_t *guest)
{
    return guest->since;
}


ngx_uint_t
ngx_trp_guard_here(ngx_trp_guest_t *guest)
{
    return guest->here;
}


void
ngx_trp_guard_leave(ngx_trp_guest_t *guest)
{
    if (guest == NULL || !guest->here) {
        return;
    }

    guest->here = 0;

    if (guest->timer.timer_set) {
        ngx_del_timer(&guest->timer);
    }

    ngx_queue_remove(&guest->queue);
    guest->guard->n--;

    ngx_queue_remove(&guest->same);
    ngx_trp_guard_count(guest->guard, guest->source, -1);
}


void
ngx_trp_guard_settle(ngx_trp_guest_t *guest)
{
    if (guest) {
        guest->settled = 1;
    }
}


static void
ngx_trp_guard_cleanup(void *data)
{
    ngx_trp_guest_t *guest = data;

    /* it has no guard if it was not let in */

    if (guest->guard && !guest->settled) {
        guest->guard->strays++;
    }

    ngx_trp_guard_leave(guest);
}
