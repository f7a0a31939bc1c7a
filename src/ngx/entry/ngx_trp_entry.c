
/*
 * Copyright (C) the trp authors
 */


/*
 * The carrier of targets over tunnels.  The stock proxy asks its upstream for
 * a connection and gets a stream at once; which relay it takes, and whether
 * another one is tried, is decided while the proxy thinks it is connected.
 */


#include "entry/ngx_trp_entry.h"
#include "entry/ngx_trp_entry_local.h"
#include "entry/ngx_trp_entry_pools.h"
#include "agent/ngx_trp_stream_tcp.h"
#include "agent/ngx_trp_stream_udp.h"
#include "base/ngx_trp_addr.h"
#include "socks5/ngx_trp_associate_tunnel.h"
#include "stock/ngx_trp_ends.h"
#include "tunnel/trp_publish.h"


static ngx_trp_entry_t *ngx_trp_entry_start_local(ngx_trp_entry_t *entry,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_trp_entry_open_frame(ngx_trp_entry_ctx_t *ctx);
static ngx_int_t ngx_trp_entry_get_peer(ngx_peer_connection_t *pc,
    void *data);
static ngx_int_t ngx_trp_entry_get_local(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc);
static void ngx_trp_entry_local_peer(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc);
static ngx_int_t ngx_trp_entry_connect(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc, ngx_trp_source_t *source);
static ngx_msec_t ngx_trp_entry_open_timeout(ngx_trp_entry_ctx_t *ctx);
static ngx_int_t ngx_trp_entry_associate_peer(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc);
static ngx_int_t ngx_trp_entry_associate(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc);
static ngx_int_t ngx_trp_entry_choose_relay(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc, ngx_trp_pool_t *leave, ngx_trp_pool_t **pool);
static ngx_uint_t ngx_trp_entry_elsewhere(ngx_trp_stream_t *st);
static ngx_uint_t ngx_trp_entry_hopeless(ngx_trp_stream_t *st);
static ngx_uint_t ngx_trp_entry_closed(ngx_trp_entry_ctx_t *ctx);
static void ngx_trp_entry_reroute(ngx_trp_stream_t *st);
static ngx_connection_t *ngx_trp_entry_user(ngx_trp_stream_t *st);
static void ngx_trp_entry_opened(ngx_trp_stream_t *st);
static void ngx_trp_entry_failed(ngx_trp_stream_t *st);
static void ngx_trp_entry_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type);
static void ngx_trp_entry_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state);


static const ngx_trp_stream_handlers_t  ngx_trp_entry_stream_handlers = {
    ngx_trp_entry_user,
    ngx_trp_entry_reroute,
    ngx_trp_entry_elsewhere,
    ngx_trp_entry_hopeless,
    ngx_trp_entry_opened,
    ngx_trp_entry_failed
};


ngx_trp_entry_t *
ngx_trp_entry_start(ngx_cycle_t *cycle, const ngx_trp_entry_conf_t *conf,
    ngx_stream_upstream_srv_conf_t *us, ngx_trp_status_t *status,
    ngx_trp_capacity_t *capacity, ngx_socket_t fd)
{
    ngx_trp_entry_t  *entry;

    entry = ngx_pcalloc(cycle->pool, sizeof(ngx_trp_entry_t));
    if (entry == NULL) {
        return NULL;
    }

    entry->conf = conf;
    entry->fd = fd;
    entry->upstream = us;

    if (conf->local) {
        return ngx_trp_entry_start_local(entry, cycle);
    }

    entry->agent = ngx_trp_agent_start(cycle, &conf->agent, status, capacity,
                                       "trp_entry");
    if (entry->agent == NULL) {
        return NULL;
    }

    return (ngx_trp_entry_pools_start(entry) == NGX_OK) ? entry : NULL;
}


static ngx_trp_entry_t *
ngx_trp_entry_start_local(ngx_trp_entry_t *entry, ngx_cycle_t *cycle)
{
    ngx_trp_near_t              *near;
    const ngx_trp_entry_conf_t  *conf;

    conf = entry->conf;
    near = &entry->near;

    near->ops = conf->hub->ops;
    near->relay = conf->relay;
    near->heartbeat = conf->agent.heartbeat;
    near->size = ngx_trp_capacity_size(cycle);
    near->reset = (conf->unavailable == NGX_TRP_ENTRY_RESET);

    ngx_trp_share_init(&entry->fixed.share, near->size / 4, cycle->log);

    return (ngx_trp_near_init(near, cycle) == NGX_OK) ? entry : NULL;
}


ngx_int_t
ngx_trp_entry_begin(ngx_trp_entry_ctx_t *ctx, ngx_trp_entry_t *entry)
{
    ctx->entry = entry;

    if (ngx_trp_entry_pools_find(ctx) != NGX_OK
        || ngx_trp_entry_open_frame(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_trp_balancer_wrap(&ctx->balancer, &ctx->session->upstream->peer, ctx,
                          ngx_trp_entry_get_peer, ngx_trp_entry_free_peer,
                          ngx_trp_entry_notify_peer);

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_open_frame(ngx_trp_entry_ctx_t *ctx)
{
    trp_open_t         open;
    in_port_t          port;
    ngx_connection_t  *c;

    c = ctx->session->connection;

    ngx_memzero(&open, sizeof(trp_open_t));

    open.proto = ctx->target->published ? TRP_PROTO_PUBLISHED
                 : (c->type == SOCK_DGRAM) ? TRP_PROTO_UDP : TRP_PROTO_TCP;
    open.addr = ctx->target->addr;
    open.host = ngx_trp_str(&ctx->target->host);
    open.port = ctx->target->port;
    open.name = ngx_trp_str(&ctx->entry->conf->agent.name);

    ngx_memcpy(open.id, ctx->id, TRP_STREAM_ID_LEN);

    ngx_trp_addr_from_sockaddr(&open.user, &port, c->sockaddr);
    open.user_port = port;

    ngx_trp_addr_from_sockaddr(&open.local, &port, c->local_sockaddr);
    open.local_port = port;

    ctx->open = ngx_pnalloc(c->pool, NGX_TRP_OPEN_MAX);
    if (ctx->open == NULL) {
        return NGX_ERROR;
    }

    ctx->open_len = trp_open_put(ctx->open, &open) - ctx->open;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_get_peer(ngx_peer_connection_t *pc, void *data)
{
    ngx_trp_entry_ctx_t *ctx = data;

    ngx_int_t        rc;
    ngx_trp_pool_t  *pool;

    if (ngx_trp_entry_closed(ctx)) {
        ctx->code = TRP_CODE_NO_AGENT;
        ctx->balancer.none = 1;
        pc->name = &ctx->entry->upstream->host;
        return NGX_BUSY;
    }

    if (ctx->target->udp) {
        return ngx_trp_entry_associate(ctx, pc);
    }

    if (ctx->entry->conf->local) {
        return ngx_trp_entry_get_local(ctx, pc);
    }

    rc = ngx_trp_entry_choose_relay(ctx, pc, NULL, &pool);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_STREAM, pc->log, 0,
                   "trp stream %s: the balancer's choice is \"%V\", "
                   "%ui of %ui tunnels are idle",
                   ngx_trp_id_text(ctx->id).data, pc->name, pool->nidle,
                   pool->total);

    ctx->pool = pool;

    return ngx_trp_entry_connect(ctx, pc, &pool->source);
}


/* there is nothing to balance, and no relay that could fail */

static ngx_int_t
ngx_trp_entry_get_local(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc)
{
    ngx_trp_source_t  *source;

    ngx_trp_entry_local_peer(ctx, pc);

    source = ngx_trp_entry_local_enter(ctx, pc->log);

    return source ? ngx_trp_entry_connect(ctx, pc, source) : NGX_BUSY;
}


static void
ngx_trp_entry_local_peer(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc)
{
    ngx_addr_t                    *addr;
    ngx_stream_upstream_server_t  *server;

    server = ctx->entry->upstream->servers->elts;
    addr = &server[0].addrs[0];

    pc->sockaddr = addr->sockaddr;
    pc->socklen = addr->socklen;
    pc->name = &addr->name;

    ctx->balancer.none = 1;
}


static ngx_int_t
ngx_trp_entry_connect(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc,
    ngx_trp_source_t *source)
{
    ngx_uint_t  udp;

    ctx->tries = 1;
    udp = (ctx->session->connection->type == SOCK_DGRAM);

    /* the proxy may have tried another stream before */

    ngx_memzero(&ctx->stream, sizeof(ngx_trp_stream_t));

    ctx->stream.entry = 1;
    ctx->stream.ops = udp ? &ngx_trp_stream_udp_ops : &ngx_trp_stream_tcp_ops;
    ctx->stream.handlers = &ngx_trp_entry_stream_handlers;
    ctx->stream.data = ctx;
    ctx->stream.source = source;
    ctx->stream.early.open = ctx->open;
    ctx->stream.early.open_len = ctx->open_len;
    ctx->stream.destination = ctx->target->destination;
    ngx_memcpy(ctx->stream.id, ctx->id, TRP_STREAM_ID_LEN);

    if (ngx_trp_stream_create(&ctx->stream, ctx->entry->fd, pc->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    pc->connection = ctx->stream.connection;
    pc->cached = 1;

    if (!udp) {
        ngx_trp_ends_proxied(ctx->session->connection);
    }

    /* until the answer has ended, no end of the user's connection is clean */

    if (!udp && ctx->target->front == NULL) {
        ngx_trp_ends_arm(ctx->session->connection);
    }

    ngx_trp_stream_open(&ctx->stream, ngx_trp_entry_open_timeout(ctx));

    return NGX_DONE;
}


static ngx_msec_t
ngx_trp_entry_open_timeout(ngx_trp_entry_ctx_t *ctx)
{
    ngx_msec_t  timeout;

    timeout = ctx->entry->conf->open_timeout;

    return ctx->proxy->connect_timeout
           ? ngx_min(ctx->proxy->connect_timeout, timeout) : timeout;
}


/* each of its streams finds its own relay; this one is for the log */

static ngx_int_t
ngx_trp_entry_associate_peer(ngx_trp_entry_ctx_t *ctx,
    ngx_peer_connection_t *pc)
{
    ngx_trp_pool_t  *pool;

    if (ctx->entry->conf->local) {
        ngx_trp_entry_local_peer(ctx, pc);
        return NGX_OK;
    }

    ctx->balancer.none = 1;

    pool = ngx_trp_relays_choose(&ctx->pools->relays);

    if (pool == NULL) {
        pc->name = &ctx->entry->upstream->host;
        return NGX_BUSY;
    }

    pc->sockaddr = pool->sockaddr;
    pc->socklen = pool->socklen;
    pc->name = &pool->source.name;

    return NGX_OK;
}


static ngx_int_t
ngx_trp_entry_associate(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc)
{
    ngx_int_t                    rc;
    ngx_trp_associate_tunnel_t  *tunnel;

    rc = ngx_trp_entry_associate_peer(ctx, pc);

    if (rc != NGX_OK) {
        return rc;
    }

    tunnel = ngx_pcalloc(ctx->session->connection->pool,
                         sizeof(ngx_trp_associate_tunnel_t));
    if (tunnel == NULL) {
        return NGX_ERROR;
    }

    tunnel->relays = &ctx->pools->relays;
    tunnel->near = ctx->entry->conf->local ? &ctx->entry->near : NULL;
    tunnel->group = ctx->group;
    tunnel->name = ctx->entry->conf->agent.name;
    tunnel->fd = ctx->entry->fd;
    tunnel->open_timeout = ngx_trp_entry_open_timeout(ctx);
    tunnel->share = &ctx->pools->share;

    ctx->associate = ngx_trp_associate(ctx->target, &ngx_trp_associate_tunnel,
                                       tunnel, ctx->entry->fd, pc);
    if (ctx->associate == NULL) {
        return NGX_ERROR;
    }

    return NGX_DONE;
}


/*
 * The balancer chooses; a relay without tunnels, and the one to be left, are
 * passed over for another.  For max_fails this does not count as a failure: the
 * pool knows better when its relay is back.
 */

static ngx_int_t
ngx_trp_entry_choose_relay(ngx_trp_entry_ctx_t *ctx, ngx_peer_connection_t *pc,
    ngx_trp_pool_t *leave, ngx_trp_pool_t **pool)
{
    ngx_int_t          rc;
    ngx_uint_t         n;
    ngx_trp_pool_t    *other;
    ngx_trp_relays_t  *relays;

    relays = &ctx->pools->relays;

    if (relays->pools.nelts == 0) {

        /* all servers are "down", or their names are not known yet */
        pc->name = &relays->upstream->host;
        return NGX_BUSY;
    }

    other = ngx_trp_relays_other(relays, leave);

    for (n = relays->pools.nelts; n; n--) {

        rc = ngx_trp_balancer_get(&ctx->balancer, pc);

        if (rc == NGX_BUSY) {
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        *pool = ngx_trp_relays_find(relays, pc->sockaddr, pc->socklen, leave);

        if (*pool == NULL) {
            ngx_log_error(NGX_LOG_ERR, pc->log, 0, "no tunnels to \"%V\"",
                          pc->name);
            ngx_trp_balancer_free(&ctx->balancer, pc, 0);
            pc->sockaddr = NULL;
            return NGX_DECLINED;
        }

        if (other == NULL
            || (*pool != leave && ngx_trp_pool_alive(*pool)))
        {
            /* the balancer's name may leave its zone before the session ends */
            pc->name = &(*pool)->source.name;
            return NGX_OK;
        }

        ngx_trp_balancer_free(&ctx->balancer, pc, 0);
        pc->sockaddr = NULL;
    }

    if (ctx->entry->conf->limited) {

        /* with "max_conns", BUSY means that the limit is reached */
        pc->name = &relays->upstream->host;
        return NGX_BUSY;
    }

    /* to the balancer all of them have failed, but the user needs one */

    *pool = other ? other : ngx_trp_relays_choose(relays);

    pc->sockaddr = (*pool)->sockaddr;
    pc->socklen = (*pool)->socklen;
    pc->name = &(*pool)->source.name;

    ctx->balancer.none = 1;

    return NGX_OK;
}


static ngx_uint_t
ngx_trp_entry_elsewhere(ngx_trp_stream_t *st)
{
    ngx_msec_t                    elapsed;
    ngx_trp_entry_ctx_t          *ctx;
    const ngx_trp_entry_proxy_t  *proxy;

    ctx = st->data;

    if (ctx->entry->conf->local) {
        return 0;
    }

    proxy = ctx->proxy;

    elapsed = ngx_current_msec - ctx->session->upstream->peer.start_time;

    if (!proxy->next
        || (proxy->next_tries && ctx->tries >= proxy->next_tries)
        || (proxy->next_timeout && elapsed >= proxy->next_timeout))
    {
        return 0;
    }

    return ngx_trp_relays_other(&ctx->pools->relays, ctx->pool) != NULL;
}


static ngx_uint_t
ngx_trp_entry_hopeless(ngx_trp_stream_t *st)
{
    return ngx_trp_entry_closed(st->data);
}


/* no reverse can be reached, and users are not to wait for one */

static ngx_uint_t
ngx_trp_entry_closed(ngx_trp_entry_ctx_t *ctx)
{
    const ngx_trp_entry_conf_t  *conf;

    conf = ctx->entry->conf;

    return conf->unavailable == NGX_TRP_ENTRY_RESET
           && (conf->local ? ngx_trp_entry_local_vain(ctx)
                           : ngx_trp_relays_vain(&ctx->pools->relays));
}


/*
 * The stream lost its tunnel, perhaps together with all others to that relay;
 * or the relay has no reverse that can serve it.
 */

static void
ngx_trp_entry_reroute(ngx_trp_stream_t *st)
{
    ngx_uint_t              leave;
    ngx_trp_pool_t         *pool;
    struct sockaddr        *sockaddr;
    ngx_connection_t       *c;
    ngx_trp_entry_ctx_t    *ctx;
    ngx_stream_upstream_t  *u;

    ctx = st->data;

    leave = st->tries.leave;
    st->tries.leave = 0;

    if (ctx->home) {
        st->source = ngx_trp_home_reroute(ctx->home);
        return;
    }

    if ((!leave && ngx_trp_pool_alive(ctx->pool))
        || (!ctx->pool->retired && !ngx_trp_entry_elsewhere(st)))
    {
        return;
    }

    ctx->tries++;

    u = ctx->session->upstream;

    /* for the proxy, the connection stays the same */

    c = u->peer.connection;
    sockaddr = u->peer.sockaddr;

    ngx_trp_balancer_free(&ctx->balancer, &u->peer,
                          leave ? NGX_PEER_FAILED : 0);

    if (ngx_trp_entry_choose_relay(ctx, &u->peer, ctx->pool, &pool) != NGX_OK)
    {
        ctx->balancer.none = 1;
        u->peer.sockaddr = sockaddr;
        pool = ctx->pool;
    }

    u->peer.connection = c;
    ctx->pool = pool;
    st->source = &pool->source;

    if (u->state) {
        u->state->peer = u->peer.name;
    }
}


static ngx_connection_t *
ngx_trp_entry_user(ngx_trp_stream_t *st)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = st->data;

    if (ctx->target->front && ctx->target->code != TRP_CODE_NONE) {

        /* the user learns of a failure from the reply */
        return NULL;
    }

    return ctx->session->connection;
}


static void
ngx_trp_entry_opened(ngx_trp_stream_t *st)
{
    ngx_trp_entry_ctx_t    *ctx;
    ngx_peer_connection_t  *pc;

    ctx = st->data;
    pc = &ctx->session->upstream->peer;

    /* while the stream waited, the address may not have been known */

    pc->name = &st->source->name;

    if (ctx->session->upstream->state) {
        ctx->session->upstream->state->peer = pc->name;
    }

    if (ctx->target->front) {
        (void) ctx->target->front->succeed(ctx->target, NULL);
        ngx_trp_ends_arm(ctx->session->connection);
    }

    ngx_trp_balancer_notify(&ctx->balancer, pc,
                            NGX_STREAM_UPSTREAM_NOTIFY_CONNECT);
}


/* at once: the proxy may half-close the client's connection before it ends */

static void
ngx_trp_entry_failed(ngx_trp_stream_t *st)
{
    ngx_trp_target_t     *target;
    ngx_trp_entry_ctx_t  *ctx;

    ctx = st->data;
    target = ctx->target;

    if (target->front) {
        target->code = st->code;
        target->front->finish(target);
    }

    if (st->ops->udp) {
        ngx_trp_stream_hold(st);
    }
}


static void
ngx_trp_entry_notify_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t type)
{
    ngx_trp_entry_ctx_t  *ctx;

    ctx = data;

    /* a stream is connected when it is accepted, not when it is made */

    if (type != NGX_STREAM_UPSTREAM_NOTIFY_CONNECT) {
        ngx_trp_balancer_notify(&ctx->balancer, pc, type);
    }
}


static void
ngx_trp_entry_free_peer(ngx_peer_connection_t *pc, void *data,
    ngx_uint_t state)
{
    ngx_trp_entry_ctx_t *ctx = data;

    ngx_trp_stream_t  *st;

    st = &ctx->stream;

    if (st->connection) {

        /* a refusal comes from beyond the relay: it is no failure of it */

        if (st->ops->udp) {
            state &= ~NGX_PEER_FAILED;
        }

        if (st->unreachable) {
            state |= NGX_PEER_FAILED;
        }

        ngx_trp_stream_close(st, NULL);
    }

    if (ctx->home) {

        /* it is kept for the log: it knows who has served the user */
        ngx_trp_home_leave(ctx->home);
    }

    if (ctx->associate) {
        ngx_trp_associate_close(ctx->associate);
    }

    ngx_trp_balancer_free(&ctx->balancer, pc, state);
}


/* why there was no stream, or it ended: other modules may have decided it */

ngx_uint_t
ngx_trp_entry_code(ngx_trp_entry_ctx_t *ctx)
{
    if (ctx->stream.connection) {
        return ctx->stream.code;
    }

    if (ctx->code) {
        return ctx->code;
    }

    switch (ctx->session->status) {

    case 0:
    case NGX_STREAM_OK:
        return TRP_CODE_NONE;

    case NGX_STREAM_FORBIDDEN:
        return TRP_CODE_NOT_ALLOWED;

    case NGX_STREAM_SERVICE_UNAVAILABLE:
        return TRP_CODE_LIMIT;
    }

    return TRP_CODE_FAILED;
}


ngx_uint_t
ngx_trp_entry_aborted(ngx_trp_entry_ctx_t *ctx)
{
    ngx_trp_stream_t  *st;

    st = &ctx->stream;

    if (ctx->associate) {
        return 0;
    }

    if (st->ops && st->ops->udp) {

        /* there are no ends, its datagrams cease */
        return st->why != NULL;
    }

    return st->in != NGX_TRP_STREAM_ENDED || st->out != NGX_TRP_STREAM_ENDED;
}
