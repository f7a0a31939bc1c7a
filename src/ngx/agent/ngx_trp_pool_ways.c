
/*
 * Copyright (C) the trp authors
 */


/*
 * The ways of a pool: carries out what trp_ways decides.
 */


#include "agent/ngx_trp_pool_ways.h"
#include "agent/ngx_trp_dial.h"
#include "agent/ngx_trp_pool_view.h"
#include "tunnel/ngx_trp_tunnel.h"


static ngx_int_t ngx_trp_pool_ways_choice(ngx_trp_pool_t *pool);
static void ngx_trp_pool_ways_handler(ngx_event_t *ev);
static void ngx_trp_pool_ways_carry_out(ngx_trp_pool_t *pool);
static void ngx_trp_pool_ways_dial(ngx_trp_pool_t *pool,
    trp_ways_event_t *event);
static void ngx_trp_pool_ways_probe(ngx_trp_pool_t *pool, ngx_uint_t way);
static void ngx_trp_pool_ways_drop(ngx_trp_pool_t *pool);


ngx_int_t
ngx_trp_pool_ways_init(ngx_trp_pool_t *pool)
{
    ngx_array_t  *ways;

    ways = pool->conf->ways;

    pool->way = ways->elts;

    pool->ways = ngx_pcalloc(pool->mem,
                             ways->nelts * sizeof(ngx_trp_pool_way_t));
    if (pool->ways == NULL) {
        return NGX_ERROR;
    }

    if (ngx_trp_pool_ways_gates(pool, pool->sockaddr, pool->socklen)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (ways->nelts > 1) ? ngx_trp_pool_ways_choice(pool) : NGX_OK;
}


ngx_int_t
ngx_trp_pool_ways_gates(ngx_trp_pool_t *pool, struct sockaddr *sockaddr,
    socklen_t socklen)
{
    ngx_uint_t      i;
    ngx_trp_way_t  *way;

    if (pool->ndialing || (pool->choice && pool->choice->probing)) {

        /* their gate is that of the name, which is as good */
        return NGX_OK;
    }

    way = pool->conf->ways->elts;

    for (i = 0; i < pool->conf->ways->nelts; i++) {
        pool->ways[i].gate = ngx_trp_gate_find(pool->agent->capacity, sockaddr,
                                               socklen, &way[i].via);
        if (pool->ways[i].gate == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trp_pool_ways_choice(ngx_trp_pool_t *pool)
{
    ngx_uint_t                   i, n;
    ngx_trp_pool_choice_t       *choice;
    const ngx_trp_agent_conf_t  *conf;

    conf = pool->conf;
    n = conf->ways->nelts;

    choice = ngx_pcalloc(pool->mem, sizeof(ngx_trp_pool_choice_t));
    if (choice == NULL) {
        return NGX_ERROR;
    }

    choice->probes = ngx_palloc(pool->mem, n * sizeof(ngx_trp_way_t));
    if (choice->probes == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(choice->probes, conf->ways->elts, n * sizeof(ngx_trp_way_t));

    for (i = 0; i < n; i++) {
        choice->probes[i].probe = 1;
    }

    choice->event.data = pool;
    choice->event.log = pool->log;
    choice->event.handler = ngx_trp_pool_ways_handler;
    choice->event.cancelable = 1;

    choice->since = ngx_time();

    trp_ways_init(&choice->core, n, conf->ways_probe, conf->ways_hold,
                  (uint32_t) ngx_random(), ngx_current_msec);

    pool->choice = choice;

    return NGX_OK;
}


void
ngx_trp_pool_ways_ready(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    if (pool->choice == NULL) {
        return;
    }

    if (!pool->choice->core.up) {
        trp_ways_up(&pool->choice->core, way->index, ngx_current_msec);
        ngx_trp_pool_ways_carry_out(pool);
    }

    if (way->index == pool->way->index) {
        ngx_trp_pool_ways_replace(pool);
    }
}


void
ngx_trp_pool_ways_failed(ngx_trp_pool_t *pool, const ngx_trp_way_t *way)
{
    trp_ways_t  *core;

    if (pool->choice == NULL) {
        return;
    }

    core = &pool->choice->core;

    if (pool->nidle == 0) {

        /* what there is belongs to users, and may hang: no help for others */
        trp_ways_down(core, 0, ngx_current_msec);
    }

    trp_ways_failed(core, way->index, ngx_current_msec);
    ngx_trp_pool_ways_carry_out(pool);

    /* or else there would never be room for others */
    ngx_trp_pool_ways_replace(pool);
}


void
ngx_trp_pool_ways_unresolved(ngx_trp_pool_t *pool, const char *why)
{
    ngx_trp_pool_way_t  *way;

    if (pool->choice == NULL || pool->way->blind) {
        return;
    }

    way = &pool->ways[pool->way->index];
    way->error.data = way->buf;
    way->error.len = ngx_snprintf(way->buf, sizeof(way->buf),
                                  "%V could not be resolved: %s",
                                  &pool->host, why)
                     - way->buf;

    trp_ways_failed(&pool->choice->core, pool->way->index, ngx_current_msec);
    ngx_trp_pool_ways_carry_out(pool);
}


void
ngx_trp_pool_ways_idle(ngx_trp_link_t *link)
{
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    if (!pool->choice->core.up) {
        trp_ways_up(&pool->choice->core, link->way->index, ngx_current_msec);
        ngx_trp_pool_ways_carry_out(pool);
    }
}


void
ngx_trp_pool_ways_lost(ngx_trp_pool_t *pool, const char *why)
{
    ngx_trp_pool_way_t  *way;

    if (pool->choice == NULL) {
        return;
    }

    if (why) {
        way = &pool->ways[pool->choice->core.used];
        way->error.data = way->buf;
        way->error.len = ngx_snprintf(way->buf, sizeof(way->buf),
                                      "tunnels are lost: %s", why)
                         - way->buf;
    }

    trp_ways_down(&pool->choice->core, why != NULL, ngx_current_msec);
    ngx_trp_pool_ways_carry_out(pool);
}


static void
ngx_trp_pool_ways_handler(ngx_event_t *ev)
{
    ngx_trp_pool_t  *pool;

    pool = ev->data;

    trp_ways_expire(&pool->choice->core, ngx_current_msec);
    ngx_trp_pool_ways_carry_out(pool);
}


static void
ngx_trp_pool_ways_carry_out(ngx_trp_pool_t *pool)
{
    uint64_t                deadline;
    trp_ways_event_t        event;
    ngx_trp_pool_choice_t  *choice;

    choice = pool->choice;

    while (trp_ways_next(&choice->core, &event) == TRP_OK) {

        switch (event.type) {

        case TRP_WAYS_USED:
            ngx_trp_pool_view_way(pool,
                          (ngx_trp_way_t *) pool->conf->ways->elts
                          + event.from);
            choice->since = ngx_time();
            break;

        case TRP_WAYS_DIAL:
            ngx_trp_pool_ways_dial(pool, &event);
            break;

        case TRP_WAYS_PROBE:
            ngx_trp_pool_ways_probe(pool, event.way);
            break;
        }
    }

    if (choice->probing && choice->core.probed == choice->core.n) {
        ngx_trp_pool_ways_drop(pool);
    }

    deadline = trp_ways_deadline(&choice->core);

    if (deadline == 0 || ngx_exiting || pool->retired) {

        if (choice->event.timer_set) {
            ngx_del_timer(&choice->event);
        }

        return;
    }

    ngx_add_timer(&choice->event,
                  (deadline > ngx_current_msec) ? deadline - ngx_current_msec
                                                : 1);
}


static void
ngx_trp_pool_ways_dial(ngx_trp_pool_t *pool, trp_ways_event_t *event)
{
    ngx_queue_t     *q;
    ngx_trp_way_t   *ways;
    ngx_trp_link_t  *link;

    ngx_trp_gate_cancel(ngx_trp_pool_gate(pool, pool->way), &pool->dials.turn);

    ways = pool->conf->ways->elts;

    pool->way = &ways[event->way];
    pool->nformer = 0;

    for (q = ngx_queue_head(&pool->idle);
         q != ngx_queue_sentinel(&pool->idle);
         q = ngx_queue_next(q))
    {
        link = ngx_queue_data(q, ngx_trp_link_t, queue);
        pool->nformer += (link->way != pool->way);
    }

    ngx_log_debug3(NGX_LOG_DEBUG_STREAM, pool->log, 0,
                   "trp pool \"%V\": dials by \"%V\", %ui idle by others",
                   &pool->source.name, &pool->way->name, pool->nformer);

    if (pool->event.timer_set) {

        if (!event->at_once) {
            return;
        }

        ngx_del_timer(&pool->event);
    }

    if (!pool->event.posted) {
        ngx_post_event(&pool->event, &ngx_posted_events);
    }
}


static void
ngx_trp_pool_ways_probe(ngx_trp_pool_t *pool, ngx_uint_t way)
{
    ngx_trp_gate_t         *gate;
    ngx_trp_pool_choice_t  *choice;

    choice = pool->choice;

    if (ngx_exiting || pool->retired || choice->probing
        || (pool->unknown && !choice->probes[way].blind))
    {
        trp_ways_vain(&choice->core, ngx_current_msec);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, pool->log, 0,
                  "probing \"%V\" to relay %V", &choice->probes[way].name,
                  &pool->source.name);

    gate = pool->ways[way].gate;

    ngx_trp_gate_force(gate);

    choice->probing = 1;
    choice->dropped = 0;

    if (ngx_trp_dial(pool, &choice->probes[way]) != NGX_OK) {
        ngx_trp_gate_leave(gate, NGX_TRP_GATE_NEITHER);

        choice->probing = 0;
        trp_ways_vain(&choice->core, ngx_current_msec);
    }
}


/* what is being dialled is dropped when it is there */

static void
ngx_trp_pool_ways_drop(ngx_trp_pool_t *pool)
{
    ngx_trp_link_t         *link;
    ngx_trp_pool_choice_t  *choice;

    choice = pool->choice;
    link = choice->probe;

    choice->dropped = 1;

    if (link && !link->tunnel->failed && !link->tunnel->draining) {
        link->tunnel->handlers->drain(link->tunnel);
    }
}


void
ngx_trp_pool_ways_probed(ngx_trp_link_t *link)
{
    ngx_trp_pool_t  *pool;

    pool = link->pool;

    pool->choice->probe = link;

    if (pool->choice->dropped) {
        ngx_trp_pool_ways_drop(pool);
        return;
    }

    trp_ways_held(&pool->choice->core, ngx_current_msec);
    ngx_trp_pool_ways_carry_out(pool);
}


void
ngx_trp_pool_ways_unprobed(ngx_trp_pool_t *pool)
{
    ngx_trp_pool_choice_t  *choice;

    choice = pool->choice;

    choice->probing = 0;
    choice->probe = NULL;

    if (!choice->dropped) {
        trp_ways_vain(&choice->core, ngx_current_msec);
        ngx_trp_pool_ways_carry_out(pool);
    }
}


void
ngx_trp_pool_ways_replace(ngx_trp_pool_t *pool)
{
    ngx_queue_t     *q;
    ngx_trp_link_t  *link;

    if (pool->nformer == 0) {
        return;
    }

    for (q = ngx_queue_last(&pool->idle);
         q != ngx_queue_sentinel(&pool->idle);
         q = ngx_queue_prev(q))
    {
        link = ngx_queue_data(q, ngx_trp_link_t, queue);

        if (link->way != pool->way) {
            link->tunnel->handlers->drain(link->tunnel);
            return;
        }
    }
}


ngx_uint_t
ngx_trp_pool_ways_gone(ngx_trp_pool_t *pool)
{
    ngx_trp_pool_choice_t  *choice;

    choice = pool->choice;

    if (choice == NULL) {
        return 1;
    }

    if (choice->event.timer_set) {
        ngx_del_timer(&choice->event);
    }

    if (choice->probing && !choice->dropped) {
        trp_ways_vain(&choice->core, ngx_current_msec);
        ngx_trp_pool_ways_drop(pool);
    }

    return !choice->probing;
}
