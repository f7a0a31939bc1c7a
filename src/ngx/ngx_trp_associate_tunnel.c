
#include "ngx_trp_associate_tunnel.h"
#include "ngx_trp_addr.h"
#include "ngx_trp_datagram.h"
#include "trp_hash.h"

#include <sodium.h>


/* of an association: each of them has a tunnel */
#define NGX_TRP_ASSOCIATE_MAX    256

/* datagrams to a destination that was refused are dropped for so long */
#define NGX_TRP_ASSOCIATE_PAUSE  1000

/* family and port, and an address or a name */
#define NGX_TRP_ASSOCIATE_KEY    (3 + 255)


typedef struct {
    ngx_trp_associate_t      *associate;
    ngx_trp_relays_t         *relays;
    ngx_socket_t              fd;
    ngx_msec_t                open_timeout;
    ngx_msec_t                timeout;

    trp_hash_t                destinations;
    ngx_queue_t               queue;           /* the last used is the first */
    ngx_event_t               timer;           /* of the first used */

    trp_memory_t              memory;
    u_char                    key[TRP_HASH_KEY_LEN];
} ngx_trp_associate_table_t;


typedef struct {
    ngx_trp_datagram_t          datagram;
    trp_hash_node_t             node;
    ngx_queue_t                 queue;
    ngx_trp_associate_table_t  *table;
    trp_socks5_addr_t           addr;          /* a name points into "key" */
    ngx_msec_t                  used;
    unsigned                    refused:1;     /* and its stream closed */
    size_t                      len;
    u_char                      key[1];
} ngx_trp_associate_dest_t;


static void *ngx_trp_associate_get(void *data, size_t size);
static void ngx_trp_associate_put(void *data, void *p);
static void ngx_trp_associate_tunnel_send(ngx_trp_associate_t *as,
    trp_socks5_addr_t *to, u_char *p, size_t len);
static size_t ngx_trp_associate_key(u_char *key, trp_socks5_addr_t *to);
static ngx_trp_associate_dest_t *ngx_trp_associate_find(
    ngx_trp_associate_table_t *table, u_char *key, size_t len);
static ngx_trp_associate_dest_t *ngx_trp_associate_add(
    ngx_trp_associate_table_t *table, trp_socks5_addr_t *to, u_char *key,
    size_t len);
static ngx_int_t ngx_trp_associate_connect(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_remove(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_used(ngx_trp_associate_dest_t *dest);
static void ngx_trp_associate_expire(ngx_event_t *ev);
static void ngx_trp_associate_answer(ngx_trp_datagram_t *dg, u_char *p,
    size_t len);
static void ngx_trp_associate_closed(ngx_trp_datagram_t *dg, ngx_uint_t code);
static void ngx_trp_associate_tunnel_close(ngx_trp_associate_t *as);


static const ngx_trp_associate_path_t  ngx_trp_associate_tunnel_path = {
    ngx_trp_associate_tunnel_send,
    ngx_trp_associate_tunnel_close,
    0
};


ngx_int_t
ngx_trp_associate_tunnel(ngx_trp_associate_t *as, ngx_trp_relays_t *relays,
    ngx_socket_t fd, ngx_msec_t open_timeout, ngx_msec_t timeout)
{
    ngx_connection_t           *c;
    ngx_trp_associate_table_t  *table;

    c = as->socks->session->connection;

    table = ngx_pcalloc(c->pool, sizeof(ngx_trp_associate_table_t));
    if (table == NULL) {
        return NGX_ERROR;
    }

    table->associate = as;
    table->relays = relays;
    table->fd = fd;
    table->open_timeout = open_timeout;
    table->timeout = timeout;

    table->timer.data = table;
    table->timer.log = c->log;
    table->timer.handler = ngx_trp_associate_expire;

    table->memory.get = ngx_trp_associate_get;
    table->memory.put = ngx_trp_associate_put;
    table->memory.data = c->log;

    randombytes_buf(table->key, TRP_HASH_KEY_LEN);

    trp_hash_init(&table->destinations, table->key, &table->memory);
    ngx_queue_init(&table->queue);

    as->path = &ngx_trp_associate_tunnel_path;
    as->data = table;

    return NGX_OK;
}


static void *
ngx_trp_associate_get(void *data, size_t size)
{
    return ngx_alloc(size, data);
}


static void
ngx_trp_associate_put(void *data, void *p)
{
    ngx_free(p);
}


static void
ngx_trp_associate_tunnel_send(ngx_trp_associate_t *as, trp_socks5_addr_t *to,
    u_char *p, size_t len)
{
    u_char                      key[NGX_TRP_ASSOCIATE_KEY];
    size_t                      key_len;
    ngx_trp_associate_dest_t   *dest;
    ngx_trp_associate_table_t  *table;

    if (len > TRP_DATA_MAX) {
        return;
    }

    table = as->data;

    key_len = ngx_trp_associate_key(key, to);
    dest = ngx_trp_associate_find(table, key, key_len);

    if (dest && dest->refused) {

        if (ngx_current_msec - dest->used < NGX_TRP_ASSOCIATE_PAUSE) {
            return;
        }

        ngx_trp_associate_remove(dest);
        dest = NULL;
    }

    if (dest == NULL) {
        dest = ngx_trp_associate_add(table, to, key, key_len);

        if (dest == NULL) {
            return;
        }
    }

    ngx_trp_associate_used(dest);
    ngx_trp_datagram_send(&dest->datagram, p, len);
}


static size_t
ngx_trp_associate_key(u_char *key, trp_socks5_addr_t *to)
{
    u_char  *p;

    p = key;

    *p++ = to->addr.family;
    *p++ = (u_char) (to->port >> 8);
    *p++ = (u_char) (to->port & 0xff);

    switch (to->addr.family) {

    case 4:
        p = ngx_cpymem(p, to->addr.bytes, 4);
        break;

    case 6:
        p = ngx_cpymem(p, to->addr.bytes, 16);
        break;

    default:
        p = ngx_cpymem(p, to->host.data, ngx_min(to->host.len, 255));
    }

    return p - key;
}


static ngx_trp_associate_dest_t *
ngx_trp_associate_find(ngx_trp_associate_table_t *table, u_char *key,
    size_t len)
{
    trp_hash_node_t           *node;
    ngx_trp_associate_dest_t  *dest;

    node = trp_hash_find(&table->destinations,
                         trp_hash(&table->destinations, key, len));

    for ( /* void */ ; node; node = trp_hash_next(node)) {
        dest = (ngx_trp_associate_dest_t *)
               ((u_char *) node - offsetof(ngx_trp_associate_dest_t, node));

        if (dest->len == len && ngx_memcmp(dest->key, key, len) == 0) {
            return dest;
        }
    }

    return NULL;
}


static ngx_trp_associate_dest_t *
ngx_trp_associate_add(ngx_trp_associate_table_t *table, trp_socks5_addr_t *to,
    u_char *key, size_t len)
{
    ngx_log_t                 *log;
    ngx_queue_t               *q;
    ngx_trp_associate_dest_t  *dest;

    log = table->associate->client->log;

    if (table->destinations.n == NGX_TRP_ASSOCIATE_MAX) {
        q = ngx_queue_last(&table->queue);
        ngx_trp_associate_remove(ngx_queue_data(q, ngx_trp_associate_dest_t,
                                                queue));
    }

    dest = ngx_calloc(sizeof(ngx_trp_associate_dest_t) + len, log);
    if (dest == NULL) {
        return NULL;
    }

    dest->table = table;
    dest->addr = *to;
    dest->len = len;
    ngx_memcpy(dest->key, key, len);

    if (to->addr.family == 0) {
        dest->addr.host.data = dest->key + 3;
        dest->addr.host.len = len - 3;
    }

    dest->datagram.relays = table->relays;
    dest->datagram.timeout = table->open_timeout;
    dest->datagram.log = log;
    dest->datagram.received = ngx_trp_associate_answer;
    dest->datagram.closed = ngx_trp_associate_closed;

    if (ngx_trp_associate_connect(dest) != NGX_OK) {
        ngx_free(dest);
        return NULL;
    }

    trp_hash_insert(&table->destinations, &dest->node,
                    trp_hash(&table->destinations, key, len));
    ngx_queue_insert_head(&table->queue, &dest->queue);

    return dest;
}


static ngx_int_t
ngx_trp_associate_connect(ngx_trp_associate_dest_t *dest)
{
    in_port_t             port;
    trp_open_t            open;
    ngx_trp_associate_t  *as;

    as = dest->table->associate;

    ngx_memzero(&open, sizeof(trp_open_t));

    open.addr = dest->addr.addr;
    open.host = dest->addr.host;
    open.port = dest->addr.port;

    open.user = as->peer.addr;
    open.user_port = as->peer.port;

    ngx_trp_addr_from_sockaddr(&open.local, &port, &as->local.sockaddr);
    open.local_port = port;

    return ngx_trp_datagram_open(&dest->datagram, dest->table->fd, &open);
}


static void
ngx_trp_associate_remove(ngx_trp_associate_dest_t *dest)
{
    if (!dest->refused) {
        ngx_trp_datagram_close(&dest->datagram);
    }

    trp_hash_remove(&dest->table->destinations, &dest->node);
    ngx_queue_remove(&dest->queue);

    ngx_free(dest);
}


static void
ngx_trp_associate_used(ngx_trp_associate_dest_t *dest)
{
    ngx_trp_associate_table_t  *table;

    table = dest->table;

    dest->used = ngx_current_msec;

    ngx_queue_remove(&dest->queue);
    ngx_queue_insert_head(&table->queue, &dest->queue);

    if (!table->timer.timer_set) {
        ngx_add_timer(&table->timer, table->timeout);
    }
}


static void
ngx_trp_associate_expire(ngx_event_t *ev)
{
    ngx_msec_t                  idle;
    ngx_queue_t                *q;
    ngx_trp_associate_dest_t   *dest;
    ngx_trp_associate_table_t  *table;

    table = ev->data;

    while (!ngx_queue_empty(&table->queue)) {
        q = ngx_queue_last(&table->queue);
        dest = ngx_queue_data(q, ngx_trp_associate_dest_t, queue);

        idle = ngx_current_msec - dest->used;

        if (idle < table->timeout) {
            ngx_add_timer(ev, table->timeout - idle);
            return;
        }

        ngx_trp_associate_remove(dest);
    }
}


static void
ngx_trp_associate_answer(ngx_trp_datagram_t *dg, u_char *p, size_t len)
{
    ngx_trp_associate_dest_t  *dest;

    dest = (ngx_trp_associate_dest_t *) dg;

    ngx_trp_associate_used(dest);
    ngx_trp_associate_received(dest->table->associate, &dest->addr, p, len);
}


static void
ngx_trp_associate_closed(ngx_trp_datagram_t *dg, ngx_uint_t code)
{
    ngx_trp_associate_dest_t  *dest;

    dest = (ngx_trp_associate_dest_t *) dg;

    dest->refused = 1;
    ngx_trp_associate_used(dest);

    if (code == TRP_CODE_NONE) {

        /* the next datagram opens it again */
        ngx_trp_associate_remove(dest);
    }
}


static void
ngx_trp_associate_tunnel_close(ngx_trp_associate_t *as)
{
    ngx_queue_t                *q;
    ngx_trp_associate_table_t  *table;

    table = as->data;

    while (!ngx_queue_empty(&table->queue)) {
        q = ngx_queue_head(&table->queue);
        ngx_trp_associate_remove(ngx_queue_data(q, ngx_trp_associate_dest_t,
                                                queue));
    }

    trp_hash_done(&table->destinations);

    if (table->timer.timer_set) {
        ngx_del_timer(&table->timer);
    }
}
