
/*
 * Copyright (C) the trp authors
 */


/*
 * How many tunnels a pool should have, and may have: by what its streams need,
 * what the relay has told, and how many connections this worker has left.
 */


#include "agent/ngx_trp_pool_size.h"


/* dialled at a time; a relay may ask for twice as many at a time */
#define NGX_TRP_POOL_BATCH         16

#define NGX_TRP_POOL_CRAMPED_TIME  250


static ngx_uint_t ngx_trp_pool_may_grow(ngx_trp_pool_t *pool);
static ngx_uint_t ngx_trp_pool_room(ngx_trp_pool_t *pool);
static ngx_uint_t ngx_trp_pool_needed(ngx_trp_pool_t *pool);


ngx_uint_t
ngx_trp_pool_missing(ngx_trp_pool_t *pool)
{
    ngx_uint_t  n, want, have, batch;

    if (pool->unknown && !pool->way->blind) {
        return 0;
    }

    if (ngx_exiting || pool->retired) {
        want = ngx_trp_pool_needed(pool);

    } else {
        want = pool->peak + pool->conf->idle;
    }

    want = ngx_min(want, pool->conf->max);

    /* those of a way that was left are to be replaced */

    have = pool->total - pool->nformer;

    if (want <= have) {
        return 0;
    }

    /*
     * one at a time to a relay that does not answer or has not yet told the
     * slot: others would only be sent to another worker
     */

    if (pool->dials.wasted
        && ngx_current_msec - pool->dials.wasted_last
           > NGX_TRP_POOL_BACKOFF_MAX + NGX_TRP_POOL_SHORT_LIFE)
    {
        pool->dials.wasted = 0;
    }

    batch = (pool->dials.failures || pool->dials.wasted
             || pool->dials.slot == -1)
            ? 1 : NGX_TRP_POOL_BATCH;

    if (pool->ndialing >= batch) {
        return 0;
    }

    n = ngx_min(want - have, batch - pool->ndialing);
    n = ngx_min(n, ngx_trp_pool_may_grow(pool));
    n = ngx_min(n, ngx_trp_pool_room(pool));

    if (n == 0) {
        pool->cramped = 1;
        ngx_add_timer(&pool->event, NGX_TRP_POOL_CRAMPED_TIME);
    }

    return n;
}


/* tunnels that are kept in any case, and a share of what all may have */

static ngx_uint_t
ngx_trp_pool_may_grow(ngx_trp_pool_t *pool)
{
    ngx_uint_t  n;

    n = ngx_trp_capacity_growth(pool->agent->capacity);

    if (pool->total < pool->conf->idle) {
        n += pool->conf->idle - pool->total;
    }

    return ngx_min(n, pool->conf->max - ngx_min(pool->total, pool->conf->max));
}


/*
 * Tunnels for which there are connections now: each needs one, and two more for
 * its stream; streams that wait have these already.
 */

static ngx_uint_t
ngx_trp_pool_room(ngx_trp_pool_t *pool)
{
    ngx_uint_t  left, ahead;

    left = ngx_trp_capacity_left(pool->agent->capacity->size);

    if (pool->total < pool->conf->idle) {
        return left;
    }

    ahead = pool->ndialing + pool->nidle;

    if (ahead < pool->nwaiting) {
        ahead = pool->nwaiting - ahead;

        return (left <= ahead) ? left : ahead + (left - ahead) / 3;
    }

    ahead = 2 * (ahead - pool->nwaiting);

    return (left > ahead) ? (left - ahead) / 3 : 0;
}


/* a stream that gets no tunnel would only take connections from others */

ngx_uint_t
ngx_trp_pool_admits(ngx_trp_pool_t *pool)
{
    ngx_uint_t  need;

    need = pool->nwaiting + 1;
    need -= ngx_min(need, pool->nidle + pool->ndialing);
    need = ngx_min(need, ngx_trp_pool_may_grow(pool));

    return ngx_trp_capacity_left(pool->agent->capacity->size) > need;
}


void
ngx_trp_pool_count(ngx_trp_pool_t *pool, ngx_int_t n)
{
    ngx_trp_capacity_t  *capacity;

    trp_assert(n > 0 || pool->total);

    capacity = pool->agent->capacity;

    if (pool->total > pool->conf->idle) {
        capacity->grown -= pool->total - pool->conf->idle;
    }

    pool->total += n;

    if (pool->total > pool->conf->idle) {
        capacity->grown += pool->total - pool->conf->idle;
    }
}


/* tunnels that are busy, and those that streams wait for */

static ngx_uint_t
ngx_trp_pool_needed(ngx_trp_pool_t *pool)
{
    return pool->total - pool->nidle - pool->nsuspect - pool->ndialing
           + pool->nwaiting;
}


void
ngx_trp_pool_demand(ngx_trp_pool_t *pool, ngx_uint_t known)
{
    ngx_uint_t  n;

    n = ngx_trp_pool_needed(pool);
    known = ngx_min(known, 2 * ngx_max(n, NGX_TRP_POOL_BATCH));
    n = ngx_max(n, known);

    pool->recent = ngx_max(pool->recent, n);
    pool->peak = ngx_max(pool->peak, n);
}
