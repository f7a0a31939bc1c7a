
/*
 * Copyright (C) the trp authors
 */


/*
 * The pools of an upstream's servers: made when a worker starts and when a
 * name has new addresses, retired when an address is gone, chosen for a user.
 */


#include "agent/ngx_trp_relays.h"
#include "names/ngx_trp_defer.h"
#include "agent/ngx_trp_turn_servers.h"


/* "server NAME resolve": new addresses show up in the shared zone */

#if (NGX_STREAM_UPSTREAM_ZONE && nginx_version >= 1027003)
#define NGX_TRP_RELAYS_RESOLVE  1
#endif

#define NGX_TRP_RELAYS_TIME     1000


/* "server NAME:PORT", of an agent */

typedef struct {
    ngx_trp_name_t     name;
    ngx_queue_t        queue;      /* in agent->hosts */
    ngx_queue_t        followers;  /* ngx_trp_relay_name_t */

    const ngx_stream_upstream_server_t  *server;
} ngx_trp_relay_host_t;


/* the same, of one of its groups */

typedef struct {
    ngx_queue_t        queue;      /* in relays->names */
    ngx_queue_t        follows;    /* the host */
    ngx_trp_relays_t  *relays;
    ngx_addr_t        *addr;       /* its placeholder in the balancer */
    ngx_str_t          server;
    ngx_uint_t         next;       /* of its addresses */
    ngx_uint_t         backup;
} ngx_trp_relay_name_t;


static ngx_int_t ngx_trp_relays_add_host(ngx_trp_agent_worker_t *agent,
    ngx_stream_upstream_server_t *server);
static ngx_int_t ngx_trp_relays_add_servers(ngx_trp_relays_t *relays,
    ngx_uint_t backup);
static ngx_int_t ngx_trp_relays_add_name(ngx_trp_relays_t *relays,
    ngx_stream_upstream_server_t *server);
static ngx_trp_relay_host_t *ngx_trp_relays_host(
    ngx_trp_agent_worker_t *agent, ngx_stream_upstream_server_t *server);
static void ngx_trp_relays_host_changed(ngx_trp_name_t *name);
static void ngx_trp_relays_host_failed(ngx_trp_name_t *name);
static void ngx_trp_relays_name_changed(ngx_trp_relay_name_t *rn,
    ngx_trp_name_t *name);
static ngx_trp_pool_t *ngx_trp_relays_name_pool(ngx_trp_relay_name_t *rn,
    ngx_addr_t *addr);
static void ngx_trp_relays_name_failed(ngx_trp_relay_name_t *rn,
    ngx_trp_name_t *name);
static ngx_trp_pool_t *ngx_trp_relays_name_choose(ngx_trp_relay_name_t *rn,
    ngx_trp_pool_t *leave);
static ngx_trp_pool_t *ngx_trp_relays_add(ngx_trp_relays_t *relays,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name,
    ngx_str_t *server);
static ngx_trp_pool_t *ngx_trp_relays_lookup(ngx_trp_relays_t *relays,
    void *owner, struct sockaddr *sockaddr, socklen_t socklen);

#if (NGX_TRP_RELAYS_RESOLVE)
static ngx_uint_t ngx_trp_relays_resolved(ngx_trp_relays_t *relays);
static void ngx_trp_relays_event_handler(ngx_event_t *ev);
static void ngx_trp_relays_update(ngx_trp_relays_t *relays);
static void ngx_trp_relays_update_peers(ngx_trp_relays_t *relays,
    ngx_stream_upstream_rr_peers_t *peers);
#endif


ngx_int_t
ngx_trp_relays_init(ngx_trp_agent_worker_t *agent,
    ngx_stream_upstream_srv_conf_t *upstream)
{
    ngx_uint_t                     i;
    ngx_stream_upstream_server_t  *server;

    server = upstream->servers->elts;

    for (i = 0; i < upstream->servers->nelts; i++) {
        if (ngx_trp_defer_is(&server[i]) && !server[i].down
            && ngx_trp_relays_add_host(agent, &server[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_trp_turn_servers_start(agent);
}


static ngx_int_t
ngx_trp_relays_add_host(ngx_trp_agent_worker_t *agent,
    ngx_stream_upstream_server_t *server)
{
    ngx_trp_relay_host_t  *host;

    host = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_trp_relay_host_t));
    if (host == NULL) {
        return NGX_ERROR;
    }

    host->server = server;

    ngx_queue_init(&host->followers);
    ngx_queue_insert_tail(&agent->hosts, &host->queue);

    host->name.conf = &agent->conf->names;
    host->name.what = "relay";
    host->name.host = ngx_trp_pool_host(&server->name);
    host->name.port = ngx_inet_get_port(server->addrs[0].sockaddr);
    host->name.changed = ngx_trp_relays_host_changed;
    host->name.failed = ngx_trp_relays_host_failed;
    host->name.data = host;

    if (!agent->conf->blind) {
        ngx_trp_name_start(&host->name);
    }

    return NGX_OK;
}


ngx_int_t
ngx_trp_relays_start(ngx_trp_relays_t *relays)
{
    ngx_uint_t  backup;

    ngx_queue_init(&relays->names);

    if (ngx_array_init(&relays->pools, relays->mem,
                       relays->upstream->servers->nelts,
                       sizeof(ngx_trp_pool_t *))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (backup = 0; backup < 2; backup++) {
        if (ngx_trp_relays_add_servers(relays, backup) != NGX_OK) {
            return NGX_ERROR;
        }
    }

#if (NGX_TRP_RELAYS_RESOLVE)

    if (ngx_trp_relays_resolved(relays)) {
        relays->event.data = relays;
        relays->event.log = ngx_cycle->log;
        relays->event.handler = ngx_trp_relays_event_handler;
        relays->event.cancelable = 1;

        /* nginx may know the addresses from before the reload */
        ngx_trp_relays_update(relays);

        ngx_add_timer(&relays->event, NGX_TRP_RELAYS_TIME);
    }

#endif

    return NGX_OK;
}


void
ngx_trp_relays_stop(ngx_trp_relays_t *relays)
{
    ngx_uint_t              i;
    ngx_queue_t            *q;
    ngx_trp_pool_t        **pools;
    ngx_trp_relay_name_t   *rn;

    for (q = ngx_queue_head(&relays->names);
         q != ngx_queue_sentinel(&relays->names);
         q = ngx_queue_next(q))
    {
        rn = ngx_queue_data(q, ngx_trp_relay_name_t, queue);

        ngx_queue_remove(&rn->follows);
    }

    if (relays->event.timer_set) {
        ngx_del_timer(&relays->event);
    }

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        ngx_trp_pool_stop(pools[i]);
    }
}


ngx_uint_t
ngx_trp_relays_gone(ngx_trp_relays_t *relays)
{
    ngx_uint_t        i;
    ngx_trp_pool_t  **pools;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (!ngx_trp_pool_gone(pools[i])) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_trp_relays_add_servers(ngx_trp_relays_t *relays, ngx_uint_t backup)
{
    ngx_uint_t                     i, j;
    ngx_addr_t                    *addr;
    ngx_trp_pool_t                *pool;
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

        if (ngx_trp_defer_is(&server[i])) {

            if (ngx_trp_relays_add_name(relays, &server[i]) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        for (j = 0; j < server[i].naddrs; j++) {
            addr = &server[i].addrs[j];

            pool = ngx_trp_relays_add(relays, addr->sockaddr, addr->socklen,
                                      &addr->name, &server[i].name);
            if (pool == NULL) {
                return NGX_ERROR;
            }

            pool->backup = backup;
        }
    }

    return NGX_OK;
}


/* users may come before the address is known: they wait for it in a pool */

static ngx_int_t
ngx_trp_relays_add_name(ngx_trp_relays_t *relays,
    ngx_stream_upstream_server_t *server)
{
    ngx_addr_t            *addr;
    ngx_trp_pool_t        *pool;
    ngx_trp_relay_host_t  *host;
    ngx_trp_relay_name_t  *rn;

    addr = &server->addrs[0];
    host = ngx_trp_relays_host(relays->agent, server);

    rn = ngx_pcalloc(relays->mem, sizeof(ngx_trp_relay_name_t));
    if (rn == NULL) {
        return NGX_ERROR;
    }

    pool = ngx_trp_relays_add(relays, addr->sockaddr, addr->socklen,
                              &server->name, &server->name);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    pool->owner = rn;
    pool->unknown = !relays->agent->conf->blind;
    pool->backup = server->backup;

    ngx_queue_insert_tail(&relays->names, &rn->queue);
    ngx_queue_insert_tail(&host->followers, &rn->follows);

    rn->relays = relays;
    rn->addr = addr;
    rn->server = server->name;
    rn->backup = server->backup;

    if (host->name.naddrs) {
        ngx_trp_relays_name_changed(rn, &host->name);

    } else if (host->name.failures) {
        ngx_trp_relays_name_failed(rn, &host->name);
    }

    return NGX_OK;
}


/* it is there: _init() has gone through the same servers */

static ngx_trp_relay_host_t *
ngx_trp_relays_host(ngx_trp_agent_worker_t *agent,
    ngx_stream_upstream_server_t *server)
{
    ngx_queue_t           *q;
    ngx_trp_relay_host_t  *host;

    q = ngx_queue_head(&agent->hosts);
    host = ngx_queue_data(q, ngx_trp_relay_host_t, queue);

    while (host->server != server) {
        q = ngx_queue_next(q);

        trp_assert(q != ngx_queue_sentinel(&agent->hosts));

        host = ngx_queue_data(q, ngx_trp_relay_host_t, queue);
    }

    return host;
}


static void
ngx_trp_relays_host_changed(ngx_trp_name_t *name)
{
    ngx_queue_t           *q;
    ngx_trp_relay_host_t  *host;

    host = name->data;

    for (q = ngx_queue_head(&host->followers);
         q != ngx_queue_sentinel(&host->followers);
         q = ngx_queue_next(q))
    {
        ngx_trp_relays_name_changed(ngx_queue_data(q, ngx_trp_relay_name_t,
                                                   follows),
                                    name);
    }
}


static void
ngx_trp_relays_host_failed(ngx_trp_name_t *name)
{
    ngx_queue_t           *q;
    ngx_trp_relay_host_t  *host;

    host = name->data;

    for (q = ngx_queue_head(&host->followers);
         q != ngx_queue_sentinel(&host->followers);
         q = ngx_queue_next(q))
    {
        ngx_trp_relays_name_failed(ngx_queue_data(q, ngx_trp_relay_name_t,
                                                  follows),
                                   name);
    }
}


static void
ngx_trp_relays_name_changed(ngx_trp_relay_name_t *rn, ngx_trp_name_t *name)
{
    ngx_uint_t          i;
    ngx_trp_pool_t     *pool, **pools;
    ngx_trp_relays_t   *relays;

    relays = rn->relays;
    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i]->owner == rn) {
            pools[i]->found = 0;
        }
    }

    for (i = 0; i < name->naddrs; i++) {
        pool = ngx_trp_relays_name_pool(rn, &name->addrs[i]);

        if (pool) {
            pool->found = 1;
        }
    }

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        pool = pools[i];

        if (pool->owner == rn && pool->retired == pool->found
            && !pool->unknown)
        {
            ngx_trp_pool_retire(pool, !pool->found);
        }
    }
}


static ngx_trp_pool_t *
ngx_trp_relays_name_pool(ngx_trp_relay_name_t *rn, ngx_addr_t *addr)
{
    ngx_uint_t         i;
    ngx_trp_pool_t    *pool, **pools;
    ngx_trp_relays_t  *relays;

    relays = rn->relays;

    pool = ngx_trp_relays_lookup(relays, rn, addr->sockaddr, addr->socklen);

    if (pool) {
        return pool;
    }

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i]->owner == rn && pools[i]->unknown) {
            return (ngx_trp_pool_found(pools[i], addr) == NGX_OK) ? pools[i]
                                                                  : NULL;
        }
    }

    pool = ngx_trp_relays_add(relays, addr->sockaddr, addr->socklen,
                              &addr->name, &rn->server);
    if (pool) {
        pool->owner = rn;
        pool->backup = rn->backup;
    }

    return pool;
}


static void
ngx_trp_relays_name_failed(ngx_trp_relay_name_t *rn, ngx_trp_name_t *name)
{
    ngx_uint_t        i;
    ngx_trp_pool_t  **pools;

    pools = rn->relays->pools.elts;

    for (i = 0; i < rn->relays->pools.nelts; i++) {
        if (pools[i]->owner == rn && pools[i]->unknown) {
            ngx_trp_pool_not_found(pools[i], name->why);
        }
    }
}


static ngx_trp_pool_t *
ngx_trp_relays_name_choose(ngx_trp_relay_name_t *rn, ngx_trp_pool_t *leave)
{
    ngx_uint_t        i, n;
    ngx_trp_pool_t   *pool, **pools;

    pool = NULL;
    pools = rn->relays->pools.elts;
    n = rn->relays->pools.nelts;

    for (i = rn->next; i < rn->next + n; i++) {

        if (pools[i % n]->owner != rn || pools[i % n]->retired) {
            continue;
        }

        if (pool == NULL || pool == leave) {
            pool = pools[i % n];
        }

        if (pools[i % n] != leave && ngx_trp_pool_alive(pools[i % n])) {
            pool = pools[i % n];
            break;
        }
    }

    for (i = 0; i < n; i++) {
        if (pools[i] == pool) {
            rn->next = i + 1;
        }
    }

    return pool;
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

    pool = ngx_trp_pool_create(relays->agent, relays->mem, sockaddr, socklen,
                               name, server);

    if (pool == NULL) {
        relays->pools.nelts--;
        return NULL;
    }

    pool->open = relays->open;
    pool->data = relays->data;
    pool->source.group = relays->group;
    *p = pool;

    return pool;
}


ngx_trp_pool_t *
ngx_trp_relays_find(ngx_trp_relays_t *relays, struct sockaddr *sockaddr,
    socklen_t socklen, ngx_trp_pool_t *leave)
{
    ngx_queue_t           *q;
    ngx_trp_pool_t        *pool;
    ngx_trp_relay_name_t  *rn;

    for (q = ngx_queue_head(&relays->names);
         q != ngx_queue_sentinel(&relays->names);
         q = ngx_queue_next(q))
    {
        rn = ngx_queue_data(q, ngx_trp_relay_name_t, queue);

        if (ngx_cmp_sockaddr(rn->addr->sockaddr, rn->addr->socklen, sockaddr,
                             socklen, 1)
            == NGX_OK)
        {
            return ngx_trp_relays_name_choose(rn, leave);
        }
    }

    pool = ngx_trp_relays_lookup(relays, NULL, sockaddr, socklen);

#if (NGX_TRP_RELAYS_RESOLVE)

    if (pool == NULL && ngx_trp_relays_resolved(relays)) {
        ngx_trp_relays_update(relays);
        pool = ngx_trp_relays_lookup(relays, NULL, sockaddr, socklen);
    }

#endif

    return pool;
}


static ngx_trp_pool_t *
ngx_trp_relays_lookup(ngx_trp_relays_t *relays, void *owner,
    struct sockaddr *sockaddr, socklen_t socklen)
{
    ngx_uint_t        i;
    ngx_trp_pool_t  **pools;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i]->owner == owner && !pools[i]->unknown
            && ngx_cmp_sockaddr(pools[i]->sockaddr, pools[i]->socklen,
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
    ngx_uint_t        i;
    ngx_trp_pool_t   *pool, **pools;

    pool = ngx_trp_relays_other(relays, NULL);

    if (pool || relays->pools.nelts == 0) {
        return pool;
    }

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (!pools[i]->retired) {
            return pools[i];
        }
    }

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


/* backup servers come last */

ngx_trp_pool_t *
ngx_trp_relays_other(ngx_trp_relays_t *relays, ngx_trp_pool_t *pool)
{
    ngx_uint_t        i, backup;
    ngx_trp_pool_t  **pools;

    pools = relays->pools.elts;

    for (backup = 0; backup < 2; backup++) {
        for (i = 0; i < relays->pools.nelts; i++) {
            if (pools[i] != pool && pools[i]->backup == backup
                && ngx_trp_pool_alive(pools[i]))
            {
                return pools[i];
            }
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
 * A pool whose address has gone gives up its tunnels.  The pool itself is kept:
 * streams refer to it, and the address may come back.
 */

static void
ngx_trp_relays_update(ngx_trp_relays_t *relays)
{
    ngx_uint_t                       i;
    ngx_trp_pool_t                 **pools;
    ngx_stream_upstream_rr_peers_t  *peers;

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i]->resolved) {
            pools[i]->found = 0;
        }
    }

    for (peers = relays->upstream->peer.data; peers; peers = peers->next) {
        ngx_stream_upstream_rr_peers_rlock(peers);
        ngx_trp_relays_update_peers(relays, peers);
        ngx_stream_upstream_rr_peers_unlock(peers);
    }

    pools = relays->pools.elts;

    for (i = 0; i < relays->pools.nelts; i++) {
        if (pools[i]->resolved && pools[i]->retired == pools[i]->found) {
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

        pool = ngx_trp_relays_lookup(relays, NULL, peer->sockaddr,
                                     peer->socklen);

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
