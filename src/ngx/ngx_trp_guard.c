
#include "ngx_trp_guard.h"
#include "ngx_trp_addr.h"


/* all from one address, of IPv6 one network of /64 */

typedef struct {
    ngx_str_node_t         sn;
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
    unsigned                 here:1;
};


static ngx_trp_guard_source_t *ngx_trp_guard_source(ngx_trp_guard_t *guard,
    ngx_connection_t *c);
static ngx_int_t ngx_trp_guard_make_room(ngx_trp_guard_t *guard,
    ngx_trp_guard_source_t *source, ngx_connection_t *c);
static ngx_int_t ngx_trp_guard_give_way(ngx_trp_guest_t *guest,
    const char *where, ngx_connection_t *c);
static void ngx_trp_guard_free_source(ngx_trp_guard_t *guard,
    ngx_trp_guard_source_t *source);
static void ngx_trp_guard_cleanup(void *data);


void
ngx_trp_guard_init(ngx_trp_guard_t *guard)
{
    ngx_queue_init(&guard->guests);

    ngx_rbtree_init(&guard->rbtree, &guard->sentinel,
                    ngx_str_rbtree_insert_value);
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

    /* it must not go away with the last of the others */
    source->n++;

    if (ngx_trp_guard_make_room(guard, source, c) != NGX_OK) {
        source->n--;
        ngx_trp_guard_free_source(guard, source);
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


static ngx_int_t
ngx_trp_guard_make_room(ngx_trp_guard_t *guard, ngx_trp_guard_source_t *source,
    ngx_connection_t *c)
{
    ngx_queue_t  *q;

    if (source->n > guard->max_per_address) {
        q = ngx_queue_head(&source->guests);

        return ngx_trp_guard_give_way(ngx_queue_data(q, ngx_trp_guest_t, same),
                                      "from its address", c);
    }

    if (guard->n >= guard->max) {
        q = ngx_queue_head(&guard->guests);

        return ngx_trp_guard_give_way(ngx_queue_data(q, ngx_trp_guest_t, queue),
                                      "in this worker", c);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_guard_give_way(ngx_trp_guest_t *guest, const char *where,
    ngx_connection_t *c)
{
    ngx_event_t  *rev;

    if (ngx_current_msec - guest->since < NGX_TRP_GUARD_TIME) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "connection is closed: too many %s are not "
                      "authenticated", where);
        return NGX_BUSY;
    }

    ngx_log_error(NGX_LOG_INFO, guest->connection->log, 0,
                  "connection gives way to another one: too many %s are not "
                  "authenticated", where);

    ngx_trp_guard_leave(guest);

    /* whoever waits for it ends it, as if its time was over */

    rev = guest->connection->read;
    rev->timedout = 1;

    ngx_post_event(rev, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_trp_guard_leave(ngx_trp_guest_t *guest)
{
    if (guest == NULL || !guest->here) {
        return;
    }

    guest->here = 0;

    ngx_queue_remove(&guest->queue);
    guest->guard->n--;

    ngx_queue_remove(&guest->same);
    guest->source->n--;

    ngx_trp_guard_free_source(guest->guard, guest->source);
}


static void
ngx_trp_guard_free_source(ngx_trp_guard_t *guard,
    ngx_trp_guard_source_t *source)
{
    if (source->n == 0) {
        ngx_rbtree_delete(&guard->rbtree, &source->sn.node);
        ngx_free(source);
    }
}


static void
ngx_trp_guard_cleanup(void *data)
{
    ngx_trp_guard_leave(data);
}
