
#include "ngx_trp_relays.h"


/* "server NAME resolve": new addresses show up in the shared zone */

#if (NGX_STREAM_UPSTREAM_ZONE && nginx_version >= 1027003)
#define NGX_TRP_RELAYS_RESOLVE  1
#endif

#define NGX_TRP_RELAYS_TIME     1000


static ngx_int_t ngx_trp_relays_add_servers(ngx_trp_relays_t *relays,
    ngx_uint_t backup);
static ngx_trp_pool_t *ngx_trp_relays_add(ngx_trp_relays_t *relays,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name,
    ngx_str_t *server);
static ngx_trp_pool_t *ngx_trp_relays_lookup(ngx_trp_relays_t *relays,
    struct sockaddr *sockaddr, socklen_t socklen);

#if (NGX_TRP_RELAYS_RESOLVE)
static ngx_uint_t ngx_trp_relays_resolved(ngx_trp_relays_t *relays);
static void ngx_trp_relays_event_handler(ngx_event_t *ev);
static void ngx_trp_relays_update(ngx_trp_relays_t *relays);
static void ngx_trp_relays_update_peers(ngx_trp_relays_t *relays,
    ngx_stream_upstream_rr_peers_t *peers);
#endif


ngx_int_t
ngx_trp_relays_start(ngx_cycle_t *cycle, ngx_trp_relays_t *relays)
{
    ngx_uint_t  backup;

    if (ngx_array_init(&relays->pools, cycle->pool,
                       relays->upstream->servers->nelts,
                       sizeof(ngx_trp_pool_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_queue_init(&relays->conf->streams);

    /* who looks for one looks at the backup servers last */

    for (backup = 0; backup < 2; backup++) {
        if (ngx_trp_relays_add_servers(relays, backup) != NGX_OK) {
            return NGX_ERROR;
        }
    }

#if (NGX_TRP_RELAYS_RESOLVE)

    if (ngx_trp_relays_resolved(relays)) {
        relays->event.data = relays;
        relays->event.log = cycle->log;
        relays->event.handler = ngx_trp_relays_event_handler;
        relays->event.cancelable = 1;

        /* nginx may know them from before the reload */
        ngx_trp_relays_update(relays);

        ngx_add_timer(&relays->event, NGX_TRP_RELAYS_TIME);
    }

#endif

    return NGX_OK;
}


static ngx_int_t
ngx_trp_relays_add_servers(ngx_trp_relays_t *relays, ngx_uint_t backup)
{
    ngx_uint_t                     i, j;
    ngx_addr_t                    *addr;
    ngx_stream_upstream_server_t  *server;

    server = relays->upstream->servers->elts;

    for (i = 0; i < relays->upstream->servers->nelts; i++) {

        if (server[i].down || server[i].backup != backup) {
            continue;
        }

#if (NGX_TRP_RELAYS_RESOLVE)
        if (server[i].host.len) {
            continue;
        }
#endif

        for (j = 0; j < server[i].naddrs; j++) {
            addr = &server[i].addrs[j];

            if (ngx_trp_relays_add(relays, addr->sockaddr, addr->socklen,
                                   &addr->name, &server[i].name)
                == NULL)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_trp_pool_t *
ngx_trp_relays_add(ngx_trp_relays_t *relays, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_str_t *name, ngx_str_t *server)
{
    ngx_trp_pool_t  *pool, **p;

    p = ngx_array_push(&relays->pools);
    if (p == NULL) {
        return NULL;
    }

    pool = ngx_trp_pool_create(relays->conf, sockaddr, socklen, name, server);

    if (pool == NULL) {
        relays->pools.nelts--;
        return NULL;
    }

    pool->open = relays->open;
    pool->data = relays->data;
    *p = pool;

    return pool;
}


ngx_trp_pool_t *
ngx_trp_relays_find(ngx_trp_relays_t *relays, struct sockaddr *sockaddr,
    socklen_t socklen)
{
    ngx_trp_pool_t  *pool;

    pool = ngx_trp_relays_lookup(relays, sockaddr, socklen);

#if (NGX_TRP_RELAYS_RESOLVE)

    if (pool == NULL && ngx_trp_relays_resolved(relays)) {
        ngx_trp_relays_update(relays);
        pool = ngx_trp_relays_lookup(relays, sockaddr, socklen);
    }

#endif

    return pool;
}


static ngx_trp_pool_t *
ngx_trp_relays_lookup(ngx_trp_relays_t *relays, struct sockaddr *sockaddr,
    socklen_t socklen)
{
    ngx_uint_t        i;
    ngx_trp_pool_t  **pools;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (ngx_cmp_sockaddr(pools[i]->sockaddr, pools[i]->socklen,
                             sockaddr, socklen, 1)
            == NGX_OK)
        {
            return pools[i];
        }
    }

    return NULL;
}


ngx_trp_pool_t *
ngx_trp_relays_choose(ngx_trp_relays_t *relays)
{
    ngx_trp_pool_t  *pool, **pools;

    pool = ngx_trp_relays_other(relays, NULL);

    if (pool || relays->pools.nelts == 0) {
        return pool;
    }

    pools = relays->pools.elts;

    return pools[0];
}


ngx_uint_t
ngx_trp_relays_vain(ngx_trp_relays_t *relays)
{
    ngx_uint_t        i;
    ngx_trp_pool_t  **pools;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (!ngx_trp_pool_vain(pools[i])) {
            return 0;
        }
    }

    return 1;
}


ngx_trp_pool_t *
ngx_trp_relays_other(ngx_trp_relays_t *relays, ngx_trp_pool_t *pool)
{
    ngx_uint_t        i;
    ngx_trp_pool_t  **pools;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i] != pool && ngx_trp_pool_alive(pools[i])) {
            return pools[i];
        }
    }

    return NULL;
}


#if (NGX_TRP_RELAYS_RESOLVE)

static ngx_uint_t
ngx_trp_relays_resolved(ngx_trp_relays_t *relays)
{
    ngx_uint_t                     i;
    ngx_stream_upstream_server_t  *server;

    server = relays->upstream->servers->elts;

    for (i = 0; i < relays->upstream->servers->nelts; i++) {
        if (server[i].host.len && !server[i].down) {
            return 1;
        }
    }

    return 0;
}


static void
ngx_trp_relays_event_handler(ngx_event_t *ev)
{
    if (ngx_exiting) {
        return;
    }

    ngx_trp_relays_update(ev->data);

    ngx_add_timer(ev, NGX_TRP_RELAYS_TIME);
}


/*
 * A pool whose address has gone gives its tunnels up.  It is kept: streams
 * refer to it, and the address may come back.
 */

static void
ngx_trp_relays_update(ngx_trp_relays_t *relays)
{
    ngx_uint_t                       i;
    ngx_trp_pool_t                 **pools;
    ngx_stream_upstream_rr_peers_t  *peers;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        pools[i]->found = !pools[i]->resolved;
    }

    for (peers = relays->upstream->peer.data; peers; peers = peers->next) {
        ngx_stream_upstream_rr_peers_rlock(peers);
        ngx_trp_relays_update_peers(relays, peers);
        ngx_stream_upstream_rr_peers_unlock(peers);
    }

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i]->retired == pools[i]->found) {
            ngx_trp_pool_retire(pools[i], !pools[i]->found);
        }
    }
}


static void
ngx_trp_relays_update_peers(ngx_trp_relays_t *relays,
    ngx_stream_upstream_rr_peers_t *peers)
{
    ngx_trp_pool_t                 *pool;
    ngx_stream_upstream_rr_peer_t  *peer;

    for (peer = peers->peer; peer; peer = peer->next) {

        if (peer->host == NULL || peer->down) {
            continue;
        }

        pool = ngx_trp_relays_lookup(relays, peer->sockaddr, peer->socklen);

        if (pool == NULL) {

            pool = ngx_trp_relays_add(relays, peer->sockaddr, peer->socklen,
                                      &peer->name, &peer->server);
            if (pool == NULL) {
                continue;
            }

            pool->resolved = 1;
        }

        pool->found = 1;
    }
}

#endif
