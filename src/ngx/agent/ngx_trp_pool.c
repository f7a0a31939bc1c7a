
/*
 * Copyright (C) the trp authors
 */


/*
 * The tunnels of a pool: dialled, taken, put back and drained.  What a tunnel
 * receives goes to its holder.
 */


#include "agent/ngx_trp_pool.h"
#include "agent/ngx_trp_announce.h"
#include "agent/ngx_trp_dial.h"
#include "agent/ngx_trp_dial_log.h"
#include "agent/ngx_trp_pool_ways.h"
#include "tunnel/ngx_trp_tunnel.h"
#include "tunnel/ngx_trp_tunnel_doubt.h"


#define NGX_TRP_POOL_SHRINK_TIME  10000

#define NGX_TRP_POOL_BACKOFF_MIN  250

#define NGX_TRP_POOL_MOVES        4


static void ngx_trp_pool_cleanup(void *data);
static void ngx_trp_pool_post(ngx_trp_pool_t *pool);
static void ngx_trp_pool_event_handler(ngx_event_t *ev);
static void ngx_trp_pool_dialled(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way, ngx_trp_gate_e how);
static void ngx_trp_pool_undone(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);
static void ngx_trp_pool_backoff(ngx_trp_pool_t *pool, ngx_uint_t *count);
static void ngx_trp_pool_reroute(ngx_trp_pool_t *pool);
static void ngx_trp_pool_shrink_handler(ngx_event_t *ev);
static void ngx_trp_pool_drain_idle(ngx_trp_pool_t *pool);
static ngx_uint_t ngx_trp_pool_admits_stream(ngx_trp_source_t *source);
static ngx_trp_tunnel_t *ngx_trp_pool_get(ngx_trp_source_t *source);
static void ngx_trp_pool_wait(ngx_trp_source_t *source,
    ngx_trp_holder_t *holder);
static void ngx_trp_pool_cancel(ngx_trp_source_t *source,
    ngx_trp_holder_t *holder);
static void ngx_trp_pool_take(ngx_trp_link_t *link);
static void ngx_trp_pool_put(ngx_trp_link_t *link);

static void ngx_trp_pool_ready(ngx_trp_link_t *link, trp_ready_t *ready);
static void ngx_trp_pool_moved(ngx_trp_link_t *link, ngx_uint_t slot);
static void ngx_trp_pool_undialled(ngx_trp_pool_t *pool,
    const ngx_trp_way_t *way);

static void ngx_trp_pool_idle(ngx_trp_tunnel_t *t);
static ngx_int_t ngx_trp_pool_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame);
static ngx_int_t ngx_trp_pool_agents(ngx_trp_link_t *link,
    trp_frame_t *frame);
static ngx_int_t ngx_trp_pool_open(ngx_trp_link_t *link, trp_frame_t *frame);
static void ngx_trp_pool_drain(ngx_trp_tunnel_t *t);
static void ngx_trp_pool_closed(ngx_trp_tunnel_t *t);
static void ngx_trp_pool_probe_closed(ngx_trp_link_t *link);
static void ngx_trp_pool_silent(ngx_trp_tunnel_t *t, ngx_uint_t safe);
static void ngx_trp_pool_ask(ngx_trp_pool_t *pool);
static ngx_uint_t ngx_trp_pool_asked(ngx_trp_link_t *link);
static void ngx_trp_pool_answered(ngx_trp_link_t *link);


static const ngx_trp_tunnel_handlers_t  ngx_trp_pool_tunnel_handlers = {
    ngx_trp_holder_readable,
    ngx_trp_holder_writable,
    ngx_trp_pool_idle,
    ngx_trp_pool_frame,
    ngx_trp_pool_drain,
    ngx_trp_pool_closed,
    ngx_trp_pool_silent
};


static const ngx_trp_source_ops_t  ngx_trp_pool_source_ops = {
    ngx_trp_pool_admits_stream,
    ngx_trp_pool_get,
    ngx_trp_pool_wait,
    ngx_trp_pool_cancel
};


static const ngx_trp_dial_handlers_t  ngx_trp_pool_dial_handlers = {
    &ngx_trp_pool_tunnel_handlers,
    ngx_trp_pool_ready,
    ngx_trp_pool_moved,
    ngx_trp_pool_undialled
};


ngx_trp_pool_t *
ngx_trp_pool_create(ngx_trp_agent_worker_t *agent, ngx_pool_t *mem,
    struct sockaddr *sockaddr, socklen_t socklen, ngx_str_t *name,
    ngx_str_t *server)
{
    ngx_trp_pool_t      *pool;
    ngx_pool_cleanup_t  *cln;

    pool = ngx_pcalloc(mem, sizeof(ngx_trp_pool_t));
    cln = ngx_pool_cleanup_add(mem, 0);

    if (pool == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_trp_pool_cleanup;
    cln->data = pool;

    pool->sockaddr = ngx_palloc(mem, socklen);
    pool->source.name.data = ngx_pstrdup(mem, name);
    pool->server.data = ngx_pstrdup(mem, server);

    if (pool->sockaddr == NULL || pool->source.name.data == NULL
        || pool->server.data == NULL)
    {
        return NULL;
    }

    ngx_memcpy(pool->sockaddr, sockaddr, socklen);
    pool->socklen = socklen;
    pool->source.name.len = name->len;
    pool->server.len = server->len;
    pool->host = ngx_trp_pool_host(&pool->server);

    pool->source.ops = &ngx_trp_pool_source_ops;
    pool->source.group = &agent->conf->group;
    pool->source.spare = TRP_SPARE_UNKNOWN;

    pool->agent = agent;
    pool->conf = agent->conf;
    pool->mem = mem;
    pool->dialled = &ngx_trp_pool_dial_handlers;
    pool->dials.slot = -1;
    pool->log = ngx_cycle->log;

    if (ngx_trp_pool_ways_init(pool) != NGX_OK) {
        return NULL;
    }

    pool->dials.turn.event = &pool->event;
    agent->capacity->kept += agent->conf->idle;

    ngx_queue_init(&pool->idle);
    ngx_queue_init(&pool->waiting);
    ngx_queue_init(&pool->quic.connections);

    pool->event.data = pool;
    pool->event.log = pool->log;
    pool->event.handler = ngx_trp_pool_event_handler;
    pool->event.cancelable = 1;

    pool->shrink.data = pool;
    pool->shrink.log = pool->log;
    pool->shrink.handler = ngx_trp_pool_shrink_handler;
    pool->shrink.cancelable = 1;

    /* a posted event would wait until some other event wakes the worker */

    ngx_add_timer(&pool->event, 1);
    ngx_add_timer(&pool->shrink, NGX_TRP_POOL_SHRINK_TIME);

    return pool;
}


static void
ngx_trp_pool_cleanup(void *data)
{
    ngx_trp_pool_t *pool = data;

    if (pool->dials.web) {
        ngx_ssl_free_session(pool->dials.web);
        pool->dials.web = NULL;
    }

    if (pool->dials.session) {
        ngx_ssl_free_session(pool->dials.session);
        pool->dials.session = NULL;
    }

    if (pool->quic.session) {
        ngx_ssl_free_session(pool->quic.session);
        pool->quic.session = NULL;
    }
}


ngx_str_t
ngx_trp_pool_host(const ngx_str_t *server)
{
    u_char     *p, *last;
    ngx_str_t   host;

    host = *server;
    last = host.data + host.len;

    if (host.len && host.data[0] == '[') {
        p = ngx_strlchr(host.data, last, ']');

        if (p) {
            host.data++;
            host.len = p - host.data;
        }

        return host;
    }

    p = ngx_strlchr(host.data, last, ':');

    if (p) {
        host.len = p - host.data;
    }

    return host;
}


static void
ngx_trp_pool_post(ngx_trp_pool_t *pool)
{
    if (!pool->event.timer_set && !pool->event.posted) {
        ngx_post_event(&pool->event, &ngx_posted_events);
    }
}


static void
ngx_trp_pool_event_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_trp_gate_t       *gate;
    ngx_trp_pool_t       *pool;
    const ngx_trp_way_t  *way;

    pool = ev->data;

    if (ev->timer_set) {
        ngx_trp_gate_pass(ngx_trp_pool_gate(pool, pool->way));
        return;
    }

    ev->timedout = 0;
    pool->cramped = 0;

    ngx_trp_pool_view(pool);

    way = pool->way;
    gate = ngx_trp_pool_gate(pool, way);

    for (n = ngx_trp_pool_missing(pool); n; n--) {

        if (!ngx_trp_gate_enter(gate, &pool->dials.turn)) {
            ngx_trp_pool_view(pool);
            return;
        }

        if (ngx_trp_dial(pool, way) != NGX_OK) {
            ngx_trp_gate_leave(gate, NGX_TRP_GATE_NEITHER);
            ngx_trp_pool_undone(pool, way);
            ngx_trp_pool_reroute(pool);
            return;
        }

        pool->ndialing++;
        ngx_trp_pool_count(pool, 1);

        ngx_log_debug3(NGX_LOG_DEBUG_STREAM, pool->log, 0,
                       "trp pool \"%V\": one more is dialled, %ui of %ui",
                       &pool->source.name, pool->ndialing, pool->total);
    }

    if (pool->cramped) {
        ngx_trp_pool_ways_replace(pool);
    }

    ngx_trp_pool_view(pool);
    ngx_trp_gate_pass(gate);
}


static void
ngx_trp_pool_dialled(ngx_trp_pool_t *pool, const ngx_trp_way_t *way,
    ngx_trp_gate_e how)
{
    if (!way->probe) {
        trp_assert(pool->ndialing);
        pool->ndialing--;
    }

    ngx_trp_gate_leave(ngx_trp_pool_gate(pool, way), how);
}


/* a tunnel of the pool could not be dialled */

static void
ngx_trp_pool_undone(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    ngx_trp_pool_backoff(pool, &pool->dials.failures);
    ngx_trp_pool_view_failed(pool);
    ngx_trp_pool_ways_failed(pool, way);
}


/*
 * Exponential, with full jitter: agents must not come back in step.  "count"
 * counts the rounds that were in vain.
 */

static void
ngx_trp_pool_backoff(ngx_trp_pool_t *pool, ngx_uint_t *count)
{
    ngx_uint_t  vain;
    ngx_msec_t  max;

    if (pool->cramped) {
        pool->cramped = 0;
        ngx_del_timer(&pool->event);
    }

    if (pool->event.timer_set) {
        return;
    }

    vain = pool->dials.failures + pool->dials.wasted;

    max = NGX_TRP_POOL_BACKOFF_MIN << ngx_min(vain, 7);
    max = ngx_min(max, NGX_TRP_POOL_BACKOFF_MAX);

    (*count)++;

    ngx_add_timer(&pool->event, 1 + ngx_random() % max);
}


/* streams that wait for this relay may find another that is alive */

static void
ngx_trp_pool_reroute(ngx_trp_pool_t *pool)
{
    ngx_uint_t         n;
    ngx_queue_t       *q;
    ngx_trp_holder_t  *holder;

    if (ngx_trp_pool_alive(pool)) {
        return;
    }

    for (n = pool->nwaiting; n; n--) {
        q = ngx_queue_head(&pool->waiting);
        holder = ngx_queue_data(q, ngx_trp_holder_t, queue);

        ngx_trp_pool_cancel(&pool->source, holder);
        holder->ops->reopen(holder);
    }
}


static void
ngx_trp_pool_shrink_handler(ngx_event_t *ev)
{
    ngx_uint_t       n, want;
    ngx_queue_t     *q;
    ngx_trp_link_t  *link;
    ngx_trp_pool_t  *pool;

    pool = ev->data;

    if (ngx_exiting) {

        /* no tunnel of a relay that cannot be reached has ended */
        ngx_trp_pool_view(pool);
        return;
    }

    ngx_add_timer(ev, NGX_TRP_POOL_SHRINK_TIME);

    /* half way down to what has been needed since the last time */

    if (pool->peak > pool->recent) {
        pool->peak -= (pool->peak - pool->recent + 1) / 2;
    }

    pool->recent = 0;
    ngx_trp_pool_demand(pool, 0);

    want = pool->peak + pool->conf->idle;
    n = (pool->total > want) ? pool->total - want : 0;

    ngx_log_debug4(NGX_LOG_DEBUG_STREAM, pool->log, 0,
                   "trp pool \"%V\": %ui tunnels, %ui are idle, %ui too many",
                   &pool->source.name, pool->total, pool->nidle, n);

    while (n-- && pool->nidle) {
        q = ngx_queue_last(&pool->idle);
        link = ngx_queue_data(q, ngx_trp_link_t, queue);

        ngx_trp_pool_drain(link->tunnel);
    }
}


ngx_int_t
ngx_trp_pool_found(ngx_trp_pool_t *pool, ngx_addr_t *addr)
{
    u_char           *name;
    struct sockaddr  *sockaddr;

    sockaddr = ngx_palloc(pool->mem, addr->socklen);
    name = ngx_pstrdup(pool->mem, &addr->name);

    if (sockaddr == NULL || name == NULL
        || ngx_trp_pool_ways_gates(pool, addr->sockaddr, addr->socklen)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a row has one address */
    ngx_trp_pool_view_close(pool);

    /* the previous address may still be referred to */

    ngx_memcpy(sockaddr, addr->sockaddr, addr->socklen);

    pool->sockaddr = sockaddr;
    pool->socklen = addr->socklen;
    pool->source.name.data = name;
    pool->source.name.len = addr->name.len;
    pool->unknown = 0;
    pool->dials.failures = 0;

    ngx_trp_pool_post(pool);

    return NGX_OK;
}


void
ngx_trp_pool_not_found(ngx_trp_pool_t *pool, const char *why)
{
    if (pool->total > pool->ndialing) {

        /* by a way that needs no address */
        return;
    }

    pool->dials.failures = 1;

    ngx_trp_pool_view_unresolved(pool, why);
    ngx_trp_pool_ways_unresolved(pool, why);

    ngx_trp_pool_reroute(pool);
}


void
ngx_trp_pool_retire(ngx_trp_pool_t *pool, ngx_uint_t retired)
{
    pool->retired = retired;
    pool->agent->capacity->kept += retired ? - pool->conf->idle
                                           : pool->conf->idle;

    ngx_log_error(NGX_LOG_NOTICE, pool->log, 0, "relay %V %s",
                  &pool->source.name,
                  retired ? "has gone from the upstream"
                          : "is in the upstream again");

    if (retired) {
        ngx_trp_pool_drain_idle(pool);
        (void) ngx_trp_pool_ways_gone(pool);
    }

    ngx_trp_pool_view(pool);
    ngx_trp_pool_reroute(pool);
    ngx_trp_pool_post(pool);
}


static void
ngx_trp_pool_drain_idle(ngx_trp_pool_t *pool)
{
    ngx_queue_t     *q;
    ngx_trp_link_t  *link;

    while (pool->nidle) {
        q = ngx_queue_head(&pool->idle);
        link = ngx_queue_data(q, ngx_trp_link_t, queue);

        ngx_trp_pool_drain(link->tunnel);
    }
}


void
ngx_trp_pool_stop(ngx_trp_pool_t *pool)
{
    trp_assert(pool->nwaiting == 0);

    if (!pool->retired) {
        pool->retired = 1;
        pool->agent->capacity->kept -= pool->conf->idle;
    }

    ngx_trp_pool_drain_idle(pool);
    (void) ngx_trp_pool_ways_gone(pool);
    ngx_trp_pool_view(pool);
}


/* tunnels that are left may set the timers and post the event again */

ngx_uint_t
ngx_trp_pool_gone(ngx_trp_pool_t *pool)
{
    trp_assert(pool->retired);

    if (!ngx_trp_pool_ways_gone(pool) || pool->total) {
        return 0;
    }

    if (pool->event.timer_set) {
        ngx_del_timer(&pool->event);
    }

    if (pool->event.posted) {
        ngx_delete_posted_event(&pool->event);
    }

    if (pool->shrink.timer_set) {
        ngx_del_timer(&pool->shrink);
    }

    ngx_trp_gate_cancel(ngx_trp_pool_gate(pool, pool->way), &pool->dials.turn);

    return 1;
}


ngx_uint_t
ngx_trp_pool_alive(ngx_trp_pool_t *pool)
{
    if (pool->retired || pool->silent) {
        return 0;
    }

    return pool->nidle
           || (pool->dials.failures == 0 && pool->total > pool->ndialing);
}


/* the relay tells this of a busy tunnel only when it is idle again */

ngx_uint_t
ngx_trp_pool_vain(ngx_trp_pool_t *pool)
{
    ngx_uint_t  ready;

    if (pool->retired) {
        return 1;
    }

    if (pool->nidle) {
        return pool->nvain_idle == pool->nidle;
    }

    ready = pool->total - pool->ndialing;

    return ready ? pool->nvain == ready
                 : pool->dials.failures || pool->dials.wasted;
}


static ngx_uint_t
ngx_trp_pool_admits_stream(ngx_trp_source_t *source)
{
    return ngx_trp_pool_admits(ngx_trp_pool_of(source));
}


static ngx_trp_tunnel_t *
ngx_trp_pool_get(ngx_trp_source_t *source)
{
    ngx_queue_t     *q;
    ngx_trp_link_t  *link;
    ngx_trp_pool_t  *pool;

    pool = ngx_trp_pool_of(source);

    /* the one used last: the others may grow old and be given up */

    for (q = ngx_queue_head(&pool->idle);
         q != ngx_queue_sentinel(&pool->idle);
         q = ngx_queue_next(q))
    {
        link = ngx_queue_data(q, ngx_trp_link_t, queue);

        if (!link->tunnel->failed) {
            ngx_trp_pool_take(link);
            ngx_trp_pool_demand(pool, 0);
            ngx_trp_pool_post(pool);

            return link->tunnel;
        }
    }

    return NULL;
}


static void
ngx_trp_pool_wait(ngx_trp_source_t *source, ngx_trp_holder_t *holder)
{
    ngx_trp_pool_t  *pool;

    pool = ngx_trp_pool_of(source);

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, pool->log, 0,
                   "trp pool \"%V\": one more stream waits, %ui others do, "
                   "%ui are dialled", &pool->source.name, pool->nwaiting,
                   pool->ndialing);

    ngx_queue_insert_tail(&pool->waiting, &holder->queue);
    pool->nwaiting++;

    ngx_trp_pool_demand(pool, 0);
    ngx_trp_pool_post(pool);
}


static void
ngx_trp_pool_cancel(ngx_trp_source_t *source, ngx_trp_holder_t *holder)
{
    ngx_trp_pool_t  *pool;

    pool = ngx_trp_pool_of(source);

    trp_assert(pool->nwaiting);

    ngx_queue_remove(&holder->queue);
    pool->nwaiting--;
}


static void
ngx_trp_pool_take(ngx_trp_link_t *link)
{
    ngx_trp_pool_t  *pool;

    trp_assert(link->idle);

    pool = link->pool;

    ngx_queue_remove(&link->queue);

    link->idle = 0;
    pool->nidle--;
    pool->nformer -= (link->way != pool->way);
    pool->nvain_idle -= link->vain;

    ngx_trp_pool_view_idle(pool);
}


static void
ngx_trp_pool_put(ngx_trp_link_t *link)
{
    ngx_queue_t       *q;
    ngx_trp_pool_t    *pool;
    ngx_trp_holder_t  *holder;

    trp_assert(!link->idle && link->tunnel->holder == NULL);

    pool = link->pool;

    if (link->tunnel->failed || link->way->probe) {
        return;
    }

    if (pool->silent && !link->tunnel->draining && ngx_trp_pool_asked(link)) {
        return;
    }

    if (!ngx_queue_empty(&pool->waiting) && !link->tunnel->draining) {
        q = ngx_queue_head(&pool->waiting);
        holder = ngx_queue_data(q, ngx_trp_holder_t, queue);

        ngx_trp_pool_cancel(&pool->source, holder);
        holder->ops->attach(holder, link->tunnel);

        return;
    }

    if (ngx_exiting || pool->retired || link->tunnel->draining
        || (link->way != pool->way && pool->nidle > pool->nformer))
    {
        ngx_trp_pool_drain(link->tunnel);
        return;
    }

    ngx_queue_insert_head(&pool->idle, &link->queue);
    link->idle = 1;
    pool->nidle++;
    pool->nformer += (link->way != pool->way);
    pool->nvain_idle += link->vain;

    ngx_trp_pool_view_idle(pool);

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, link->tunnel->connection->log, 0,
                   "trp pool \"%V\": the tunnel is idle, %ui of %ui",
                   &pool->source.name, pool->nidle, pool->total);
}


static void
ngx_trp_pool_ready(ngx_trp_link_t *link, trp_ready_t *ready)
{
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    link->dialing = 0;
    link->ready = ngx_current_msec;

    if (pool->open && ready->wanted) {
        ngx_trp_pool_demand(pool, pool->total - pool->ndialing
                                  + ready->wanted);
    }

    pool->dials.slot = ready->slot;

    if (link->way->probe) {
        ngx_trp_pool_dialled(pool, link->way, NGX_TRP_GATE_READY);
        ngx_trp_pool_ways_probed(link);
        return;
    }

    pool->dials.moved = 0;
    pool->dials.failures = 0;

    ngx_trp_pool_answered(link);
    ngx_trp_announce_ready(link, ready->flags);

    ngx_trp_pool_dialled(pool, link->way, NGX_TRP_GATE_READY);
    ngx_trp_pool_view_ready(pool);
    ngx_trp_pool_put(link);
    ngx_trp_pool_ways_ready(pool, link->way);
    ngx_trp_pool_post(pool);
}


static void
ngx_trp_pool_undialled(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    if (way->probe) {
        ngx_trp_pool_dialled(pool, way, NGX_TRP_GATE_NEITHER);
        ngx_trp_pool_ways_unprobed(pool);
        return;
    }

    ngx_trp_pool_count(pool, -1);
    ngx_trp_pool_dialled(pool, way, NGX_TRP_GATE_NEITHER);

    ngx_trp_pool_undone(pool, way);
    ngx_trp_pool_reroute(pool);
    ngx_trp_pool_post(pool);
}


static void
ngx_trp_pool_moved(ngx_trp_link_t *link, ngx_uint_t slot)
{
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    pool->dials.slot = slot;

    if (link->way->probe) {
        return;
    }

    /* no failure: the next one is dialled at once, but only so many times */

    if (pool->dials.moved++ < NGX_TRP_POOL_MOVES) {
        link->dialing = 0;
        link->worked = 1;
        ngx_trp_pool_dialled(pool, link->way, NGX_TRP_GATE_READY);
    }
}


static void
ngx_trp_pool_idle(ngx_trp_tunnel_t *t)
{
    ngx_trp_link_t  *link;

    link = t->data;

    if (t->holder) {
        t->holder->ops->detach(t->holder);
    }

    link->worked = 1;
    link->pool->dials.wasted = 0;

    ngx_trp_pool_put(link);

    if (link->pool->choice && link->idle) {
        ngx_trp_pool_ways_idle(link);
    }
}


static ngx_int_t
ngx_trp_pool_frame(ngx_trp_tunnel_t *t, trp_frame_t *frame)
{
    ngx_trp_link_t  *link;

    link = t->data;

    switch (frame->type) {

    case TRP_HELLO:
    case TRP_READY:
    case TRP_MOVED:
        return ngx_trp_dial_frame(link, frame);

    case TRP_OPEN:
        return ngx_trp_pool_open(link, frame);

    case TRP_DRAIN:
        t->draining = 1;
        ngx_trp_dial_drain(link);

        if (link->idle) {
            ngx_trp_pool_take(link);
        }

        if (!t->busy) {
            ngx_trp_tunnel_fail(t);
        }

        return NGX_OK;

    case TRP_AGENTS:
        return ngx_trp_pool_agents(link, frame);

    case TRP_PUBLISHED:
        return ngx_trp_announce_result(link, frame);

    case TRP_PONG:
        ngx_trp_pool_answered(link);

        /* fall through */

    default:
        if (t->holder == NULL) {
            return NGX_OK;
        }

        return t->holder->ops->frame(t->holder, frame);
    }
}


static ngx_int_t
ngx_trp_pool_agents(ngx_trp_link_t *link, trp_frame_t *frame)
{
    uint8_t           there;
    ngx_trp_pool_t   *pool;

    if (trp_agents_get(&there, link->tunnel->reader.buf, frame->len)
        != TRP_OK)
    {
        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "relay sent invalid AGENTS");
        return NGX_ERROR;
    }

    if (link->vain == !there || link->way->probe) {
        return NGX_OK;
    }

    link->vain = !there;

    pool = link->pool;

    pool->nvain += there ? -1 : 1;

    if (link->idle) {
        pool->nvain_idle += there ? -1 : 1;
    }

    return NGX_OK;
}


/*
 * The relay knows better how many tunnels are busy: for the relay they are busy
 * even while OPEN and DONE are on their way.
 */

static ngx_int_t
ngx_trp_pool_open(ngx_trp_link_t *link, trp_frame_t *frame)
{
    ngx_int_t        known;
    trp_open_t       open;
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    if (trp_open_get(&open, link->tunnel->reader.buf, frame->len) != TRP_OK) {
        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "relay sent invalid OPEN");
        return NGX_ERROR;
    }

    if (link->idle) {
        ngx_trp_pool_take(link);
    }

    known = (open.spare == TRP_SPARE_UNKNOWN)
            ? 0 : (ngx_int_t) (pool->total - pool->ndialing) - open.spare;

    ngx_trp_pool_demand(pool, ngx_max(known, 0));
    ngx_trp_pool_post(pool);

    pool->open(link, &open);

    return NGX_OK;
}


/*
 * This worker exits, or the tunnel is not needed.  The relay is asked to close
 * it: the relay may still have to read the end of a stream, or may have sent a
 * reverse an OPEN, which is served.
 */

static void
ngx_trp_pool_drain(ngx_trp_tunnel_t *t)
{
    ngx_trp_link_t  *link;
    ngx_trp_pool_t  *pool;

    link = t->data;
    pool = link->pool;

    t->draining = 1;

    if (link->dialing) {
        if (!pool->nwaiting || link->way->probe) {
            ngx_trp_tunnel_fail(t);
        }

        t->draining = 0;
        return;
    }

    if (link->idle) {
        ngx_trp_pool_take(link);
    }

    if (t->busy) {
        if (t->holder) {
            t->holder->ops->drain(t->holder);
        }

        return;
    }

    ngx_trp_tunnel_send(t, TRP_DRAIN);
    ngx_trp_tunnel_deadline(t, NGX_TRP_LINGER_TIME,
                            "waiting for the relay to close");
}


static void
ngx_trp_pool_closed(ngx_trp_tunnel_t *t)
{
    const char      *why;
    ngx_trp_link_t  *link;
    ngx_trp_pool_t  *pool;

    link = t->data;
    pool = link->pool;

    if (link->way->probe) {
        ngx_trp_pool_probe_closed(link);
        return;
    }

    if (link->idle) {
        ngx_trp_pool_take(link);
    }

    ngx_trp_pool_count(pool, -1);
    pool->nvain -= link->vain;
    pool->nsuspect -= link->suspect;

    if (link->dialing) {
        ngx_trp_dial_log_failed(link->log);
        ngx_trp_pool_dialled(pool, link->way, NGX_TRP_GATE_FAILED);
        ngx_trp_pool_undone(pool, link->way);

    } else if (ngx_current_msec - link->ready >= NGX_TRP_POOL_SHORT_LIFE) {
        pool->dials.wasted = 0;

    } else if (!link->worked && !t->draining) {
        pool->dials.wasted_last = ngx_current_msec;
        ngx_trp_pool_backoff(pool, &pool->dials.wasted);
    }

    if (!link->dialing) {
        why = (t->draining || link->ready == 0)
              ? NULL
              : t->why ? t->why : "closed by this side";

        ngx_trp_pool_view_lost(pool, why);

        if (pool->total == pool->ndialing) {
            ngx_trp_pool_ways_lost(pool, why);
        }
    }

    ngx_trp_dial_log_done(link->log);

    if (t->holder) {
        t->holder->ops->lost(t->holder);
    }

    ngx_trp_pool_reroute(pool);
    ngx_trp_pool_post(pool);
}


/* an old relay may have given it a stream */

static void
ngx_trp_pool_probe_closed(ngx_trp_link_t *link)
{
    ngx_trp_pool_t    *pool;
    ngx_trp_tunnel_t  *t;

    t = link->tunnel;
    pool = link->pool;

    if (link->dialing) {
        ngx_trp_dial_log_failed(link->log);
        ngx_trp_pool_dialled(pool, link->way, NGX_TRP_GATE_FAILED);
    }

    ngx_trp_dial_log_done(link->log);

    if (t->holder) {
        t->holder->ops->lost(t->holder);
    }

    ngx_trp_pool_ways_unprobed(pool);
}


/*
 * A relay does not answer an entry: if there is another one, users go there,
 * and this one is used again when one of its tunnels has answered.
 */

static void
ngx_trp_pool_silent(ngx_trp_tunnel_t *t, ngx_uint_t safe)
{
    ngx_trp_link_t  *link;
    ngx_trp_pool_t  *pool;

    link = t->data;
    pool = link->pool;

    if (t->holder == NULL || !t->holder->ops->elsewhere(t->holder)) {
        return;
    }

    if (safe) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, NGX_ETIMEDOUT,
                      "relay does not answer, another one may");

        ngx_trp_tunnel_forsake(t);

    } else if (!link->unsafe) {
        ngx_log_error(NGX_LOG_INFO, t->connection->log, NGX_ETIMEDOUT,
                      "relay does not answer, but may have opened the stream");

        link->unsafe = 1;
    }

    if (!pool->silent) {
        pool->silent = 1;

        ngx_trp_pool_ask(pool);
        ngx_trp_pool_reroute(pool);
    }
}


static void
ngx_trp_pool_ask(ngx_trp_pool_t *pool)
{
    ngx_queue_t     *q, *next;
    ngx_trp_link_t  *link;

    for (q = ngx_queue_head(&pool->idle);
         q != ngx_queue_sentinel(&pool->idle);
         q = next)
    {
        next = ngx_queue_next(q);
        link = ngx_queue_data(q, ngx_trp_link_t, queue);

        if (ngx_trp_pool_asked(link)) {
            ngx_trp_pool_take(link);
        }
    }
}


/* 0: it cannot be asked, as it is about to be closed */

static ngx_uint_t
ngx_trp_pool_asked(ngx_trp_link_t *link)
{
    if (!ngx_trp_tunnel_ask(link->tunnel)) {
        return 0;
    }

    link->suspect = 1;
    link->pool->nsuspect++;

    return 1;
}


static void
ngx_trp_pool_answered(ngx_trp_link_t *link)
{
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    link->unsafe = 0;

    if (pool->silent) {
        pool->silent = 0;

        ngx_log_error(NGX_LOG_INFO, link->tunnel->connection->log, 0,
                      "relay answers again");
    }

    if (!link->suspect) {
        return;
    }

    link->suspect = 0;
    pool->nsuspect--;

    if (!link->tunnel->draining) {
        ngx_trp_pool_put(link);
    }
}
