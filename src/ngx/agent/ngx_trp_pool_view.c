
/*
 * Copyright (C) the trp authors
 */


/*
 * A pool in the table of status.  Gauges are this pool's; counters, and what
 * the log has told, are common to all pools of the row, so that they are
 * changed with atomic operations: one of several workers tells the news.
 */


#include "agent/ngx_trp_pool_view.h"


/* a row is the same relay as before if its pools were gone for so long */

#define NGX_TRP_POOL_VIEW_GAP       10

/* an error is told again after so many seconds, then twice as many, … */

#define NGX_TRP_POOL_VIEW_AGAIN     60
#define NGX_TRP_POOL_VIEW_AGAIN_MAX 3600

/* errors that differ, one after the other, are told so often at once */

#define NGX_TRP_POOL_VIEW_TEXTS     4

/* rounds in vain that are not worth a word while there are other tunnels */

#define NGX_TRP_POOL_VIEW_ROUNDS    2

/* of a row's texts, bytes: some of the space is left for the error */

#define NGX_TRP_POOL_VIEW_HOST      128
#define NGX_TRP_POOL_VIEW_ADDRESS   64


/* NGX_TRP_RELAY_STATE, of the row */

typedef enum {
    NGX_TRP_POOL_VIEW_FIRST = 0,      /* nothing is known yet */
    NGX_TRP_POOL_VIEW_UP,
    NGX_TRP_POOL_VIEW_GONE,           /* no tunnel, but no failure either */
    NGX_TRP_POOL_VIEW_DOWN            /* this has been told */
} ngx_trp_pool_view_state_e;


static void ngx_trp_pool_view_open(ngx_trp_pool_t *pool);
static void ngx_trp_pool_view_open_way(ngx_trp_pool_t *pool);
static ngx_uint_t ngx_trp_pool_view_known(ngx_trp_pool_t *pool);
static ngx_uint_t ngx_trp_pool_view_hash(const ngx_trp_way_t *way);
static ngx_msec_t ngx_trp_pool_view_next(ngx_trp_pool_t *pool);
static ngx_trp_pool_view_e ngx_trp_pool_view_down(ngx_trp_pool_t *pool,
    uint32_t hash);


void
ngx_trp_pool_view(ngx_trp_pool_t *pool)
{
    ngx_trp_status_entry_t  *entry;

    if (pool->total == 0
        && (pool->retired || (ngx_exiting && pool->nwaiting == 0)))
    {
        ngx_trp_pool_view_close(pool);
        return;
    }

    if (!pool->view.opened) {
        ngx_trp_pool_view_open(pool);
    }

    entry = &pool->view.entry;

    ngx_trp_status_gauge(entry, NGX_TRP_RELAY_TUNNELS,
                         pool->total - pool->ndialing);
    ngx_trp_status_gauge(entry, NGX_TRP_RELAY_IDLE, pool->nidle);
    ngx_trp_status_gauge(entry, NGX_TRP_RELAY_DIALING, pool->ndialing);
    ngx_trp_status_gauge(entry, NGX_TRP_RELAY_FAILURES,
                         pool->dials.failures + pool->dials.wasted);
    ngx_trp_status_gauge(entry, NGX_TRP_RELAY_NEXT,
                         ngx_trp_pool_view_next(pool));
}


static void
ngx_trp_pool_view_open(ngx_trp_pool_t *pool)
{
    ngx_str_t                texts[NGX_TRP_RELAY_KEYS];
    ngx_atomic_t            *counters;
    ngx_trp_status_past_t    past;
    ngx_trp_status_entry_t  *entry;

    if (pool->conf->role == TRP_ROLE_ENTRY) {
        ngx_str_set(&texts[NGX_TRP_RELAY_ROLE], "entry");

    } else {
        ngx_str_set(&texts[NGX_TRP_RELAY_ROLE], "reverse");
    }

    texts[NGX_TRP_RELAY_NAME] = pool->conf->name;
    texts[NGX_TRP_RELAY_GROUP] = *pool->source.group;
    texts[NGX_TRP_RELAY_HOST] = pool->server;
    texts[NGX_TRP_RELAY_ADDRESS] = pool->source.name;

    texts[NGX_TRP_RELAY_HOST].len = ngx_min(pool->server.len,
                                            NGX_TRP_POOL_VIEW_HOST);

    texts[NGX_TRP_RELAY_ADDRESS].len = pool->unknown ? 0
                                       : ngx_min(pool->source.name.len,
                                                 NGX_TRP_POOL_VIEW_ADDRESS);

    entry = &pool->view.entry;

    ngx_trp_status_open(pool->agent->status, NGX_TRP_STATUS_RELAY, texts,
                        NGX_TRP_RELAY_KEYS, entry, &past);

    pool->view.opened = 1;

    if (entry->row == NULL) {

        /* what counts for nobody is not to be mixed with other relays */
        ngx_memzero((void *) pool->view.counters, sizeof(pool->view.counters));
        entry->counters = pool->view.counters;
    }

    counters = entry->counters;

    if (past.is_new
        || (past.is_gone && ngx_time() - past.gone > NGX_TRP_POOL_VIEW_GAP))
    {
        counters[NGX_TRP_RELAY_STATE] = NGX_TRP_POOL_VIEW_FIRST;
        counters[NGX_TRP_RELAY_SINCE] = ngx_time();
        counters[NGX_TRP_RELAY_TOLD_LAST] = 0;
        counters[NGX_TRP_RELAY_WAY] = 0;
    }

    ngx_trp_pool_view_open_way(pool);
}


/* other workers, or those before the reload, know which way works */

static void
ngx_trp_pool_view_open_way(ngx_trp_pool_t *pool)
{
    ngx_uint_t      i;
    ngx_trp_way_t  *ways;

    ways = pool->conf->ways->elts;
    i = ngx_trp_pool_view_known(pool);

    if (i == pool->conf->ways->nelts) {

        /* nothing is known: as configured */
        pool->view.entry.counters[NGX_TRP_RELAY_WAY] =
                                              ngx_trp_pool_view_hash(pool->way);
        ngx_trp_status_set(&pool->view.entry, NGX_TRP_RELAY_BY,
                           &pool->way->name);
        return;
    }

    if (pool->choice && pool->total == 0 && &ways[i] != pool->way) {
        trp_ways_start(&pool->choice->core, i, ngx_current_msec);
        pool->way = &ways[pool->choice->core.dialled];
    }
}


/* the row's way, in the list of the pool, or the number of ways */

static ngx_uint_t
ngx_trp_pool_view_known(ngx_trp_pool_t *pool)
{
    ngx_uint_t          i;
    ngx_trp_way_t      *ways;
    ngx_atomic_uint_t   hash;

    ways = pool->conf->ways->elts;
    hash = pool->view.entry.counters[NGX_TRP_RELAY_WAY];

    for (i = 0; i < pool->conf->ways->nelts; i++) {
        if (hash == ngx_trp_pool_view_hash(&ways[i])) {
            break;
        }
    }

    return i;
}


static ngx_uint_t
ngx_trp_pool_view_hash(const ngx_trp_way_t *way)
{
    return ngx_crc32_short(way->name.data, way->name.len);
}


/*
 * One of several workers tells it: the first to fall back, or to return.  What
 * others do later is no news, even if there were steps in between.
 */

void
ngx_trp_pool_view_way(ngx_trp_pool_t *pool, const ngx_trp_way_t *from)
{
    ngx_str_t             why;
    ngx_uint_t            known;
    ngx_atomic_t         *counters;
    ngx_atomic_uint_t     old, hash;
    const ngx_trp_way_t  *way;

    if (!pool->view.opened || ngx_exiting) {
        return;
    }

    way = (ngx_trp_way_t *) pool->conf->ways->elts + pool->choice->core.used;
    counters = pool->view.entry.counters;

    old = counters[NGX_TRP_RELAY_WAY];
    hash = ngx_trp_pool_view_hash(way);
    known = ngx_trp_pool_view_known(pool);

    if (old == hash
        || (from->index < way->index && known > way->index
            && known < pool->conf->ways->nelts)
        || (from->index > way->index && known < way->index)
        || !ngx_atomic_cmp_set(&counters[NGX_TRP_RELAY_WAY], old, hash))
    {
        return;
    }

    (void) ngx_atomic_fetch_add(&counters[NGX_TRP_RELAY_CHANGES], 1);

    ngx_trp_status_set(&pool->view.entry, NGX_TRP_RELAY_BY, &way->name);

    if (from->index > way->index) {
        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "returned to \"%V\" for relay %V, after %T s by \"%V\", "
                      "group: \"%V\", name: \"%V\"", &way->name,
                      &pool->source.name, ngx_time() - pool->choice->since,
                      &from->name, pool->source.group, &pool->conf->name);
        return;
    }

    why = pool->ways[from->index].error;

    if (why.len == 0) {
        ngx_str_set(&why, "there is no tunnel");
    }

    ngx_log_error(NGX_LOG_WARN, pool->log, 0,
                  "fell back to \"%V\" for relay %V, as \"%V\" does not work: "
                  "%V, group: \"%V\", name: \"%V\"", &way->name,
                  &pool->source.name, &from->name, &why, pool->source.group,
                  &pool->conf->name);
}


void
ngx_trp_pool_view_close(ngx_trp_pool_t *pool)
{
    if (!pool->view.opened) {
        return;
    }

    pool->view.opened = 0;

    if (pool->mem == ngx_cycle->pool) {
        (void) ngx_trp_status_close(&pool->view.entry, 0);
        return;
    }

    /* of a group that users have chosen: they may choose many */

    ngx_trp_status_erase(&pool->view.entry);
}


/* when the relay is dialled again, or 0 */

static ngx_msec_t
ngx_trp_pool_view_next(ngx_trp_pool_t *pool)
{
    ngx_msec_int_t  wait;

    if (pool->dials.turn.waiting) {
        return ngx_time();
    }

    if (!pool->event.timer_set || pool->unknown
        || (pool->dials.failures == 0 && pool->dials.wasted == 0))
    {
        return 0;
    }

    wait = pool->event.timer.key - ngx_current_msec;

    return ngx_time() + (ngx_max(wait, 0) + 999) / 1000;
}


void
ngx_trp_pool_view_ready(ngx_trp_pool_t *pool)
{
    time_t             since;
    ngx_uint_t         level;
    ngx_atomic_t      *counters;
    ngx_atomic_uint_t  state;

    ngx_trp_pool_view(pool);

    counters = pool->view.entry.counters;

    (void) ngx_atomic_fetch_add(&counters[NGX_TRP_RELAY_DIALLED], 1);

    state = counters[NGX_TRP_RELAY_STATE];
    since = ngx_trp_pool_view_since(pool);

    if (state == NGX_TRP_POOL_VIEW_UP
        || !ngx_atomic_cmp_set(&counters[NGX_TRP_RELAY_STATE], state,
                               NGX_TRP_POOL_VIEW_UP))
    {
        return;
    }

    counters[NGX_TRP_RELAY_SINCE] = ngx_time();
    counters[NGX_TRP_RELAY_TOLD_LAST] = 0;

    if (state == NGX_TRP_POOL_VIEW_FIRST) {
        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "connected to relay %V, group: \"%V\", name: \"%V\"",
                      &pool->source.name, pool->source.group,
                      &pool->conf->name);

    } else {
        level = (state == NGX_TRP_POOL_VIEW_DOWN) ? NGX_LOG_NOTICE
                                                  : NGX_LOG_INFO;

        ngx_log_error(level, pool->log, 0,
                      "connected to relay %V, after %T s without a tunnel, "
                      "group: \"%V\", name: \"%V\"", &pool->source.name, since,
                      pool->source.group, &pool->conf->name);
    }
}


void
ngx_trp_pool_view_lost(ngx_trp_pool_t *pool, const char *why)
{
    ngx_atomic_t  *counters;

    if (why && pool->view.opened) {
        ngx_trp_status_count(&pool->view.entry, NGX_TRP_RELAY_LOST, 1);
    }

    ngx_trp_pool_view(pool);

    if (!pool->view.opened) {
        return;
    }

    counters = pool->view.entry.counters;

    /* the pool of a new worker takes over, and may not have dialled yet */

    if (pool->total > pool->ndialing || ngx_exiting
        || ngx_trp_status_sum(&pool->view.entry, NGX_TRP_RELAY_TUNNELS) != 0)
    {
        return;
    }

    if (!ngx_atomic_cmp_set(&counters[NGX_TRP_RELAY_STATE],
                            NGX_TRP_POOL_VIEW_UP, NGX_TRP_POOL_VIEW_GONE))
    {
        return;
    }

    counters[NGX_TRP_RELAY_SINCE] = ngx_time();

    if (why && !pool->retired) {
        ngx_log_error(NGX_LOG_NOTICE, pool->log, 0,
                      "lost the last tunnel to relay %V: %s, group: \"%V\", "
                      "name: \"%V\"", &pool->source.name, why,
                      pool->source.group, &pool->conf->name);
    }
}


void
ngx_trp_pool_view_failed(ngx_trp_pool_t *pool)
{
    ngx_atomic_t  *counters;

    ngx_trp_pool_view(pool);

    if (!pool->view.opened) {
        return;
    }

    if (ngx_exiting) {

        /* it may have been given up */
        return;
    }

    counters = pool->view.entry.counters;

    (void) ngx_atomic_fetch_add(&counters[NGX_TRP_RELAY_FAILED], 1);
    counters[NGX_TRP_RELAY_FAILED_AT] = ngx_time();
}


void
ngx_trp_pool_view_unresolved(ngx_trp_pool_t *pool, const char *why)
{
    u_char     buf[128];
    ngx_str_t  text;

    ngx_trp_pool_view_failed(pool);

    if (!pool->view.opened) {
        return;
    }

    /* this is logged where names are resolved */

    text.data = buf;
    text.len = ngx_snprintf(buf, sizeof(buf), "could not be resolved: %s", why)
               - buf;

    ngx_trp_status_set(&pool->view.entry, NGX_TRP_RELAY_ERROR, &text);
}


ngx_trp_pool_view_e
ngx_trp_pool_view_error(ngx_trp_pool_t *pool, const ngx_trp_way_t *way,
    const ngx_str_t *text, ngx_uint_t dialing)
{
    time_t               now, first, last, pause;
    uint32_t             hash;
    ngx_atomic_t        *counters;
    ngx_trp_pool_way_t  *pw;
    ngx_trp_pool_view_e  down;

    pw = &pool->ways[way->index];

    pw->error.data = pw->buf;
    pw->error.len = ngx_min(text->len, sizeof(pw->buf));

    ngx_memcpy(pw->buf, text->data, pw->error.len);

    if (way->probe) {
        return NGX_TRP_POOL_VIEW_KNOWN;
    }

    if (!pool->view.opened) {
        return NGX_TRP_POOL_VIEW_NEW;
    }

    ngx_trp_status_set(&pool->view.entry, NGX_TRP_RELAY_ERROR, text);

    counters = pool->view.entry.counters;
    hash = ngx_crc32_short(text->data, text->len);

    down = ngx_trp_pool_view_down(pool, hash);

    if (down != NGX_TRP_POOL_VIEW_KNOWN) {
        return down;
    }

    if (dialing && pool->dials.failures < NGX_TRP_POOL_VIEW_ROUNDS) {

        /* the relay has gone, which the other workers are about to learn? */
        return NGX_TRP_POOL_VIEW_KNOWN;
    }

    now = ngx_time();
    first = counters[NGX_TRP_RELAY_TOLD_FIRST];
    last = counters[NGX_TRP_RELAY_TOLD_LAST];

    pause = ngx_max(last - first, NGX_TRP_POOL_VIEW_AGAIN);
    pause = ngx_min(pause, NGX_TRP_POOL_VIEW_AGAIN_MAX);

    if (last == 0
        || now - last > 2 * NGX_TRP_POOL_VIEW_AGAIN_MAX)
    {
        first = now;

    } else if (now - last < pause
               && (hash == counters[NGX_TRP_RELAY_TOLD_TEXT]
                   || counters[NGX_TRP_RELAY_TOLD_TEXTS]
                      >= NGX_TRP_POOL_VIEW_TEXTS))
    {
        return NGX_TRP_POOL_VIEW_KNOWN;
    }

    if (!ngx_atomic_cmp_set(&counters[NGX_TRP_RELAY_TOLD_LAST], last, now)) {
        return NGX_TRP_POOL_VIEW_KNOWN;
    }

    if (first == now) {
        counters[NGX_TRP_RELAY_TOLD_FIRST] = now;
        counters[NGX_TRP_RELAY_TOLD_TEXTS] = 0;
    }

    counters[NGX_TRP_RELAY_TOLD_TEXT] = hash;
    counters[NGX_TRP_RELAY_TOLD_TEXTS]++;

    return counters[NGX_TRP_RELAY_STATE] == NGX_TRP_POOL_VIEW_DOWN
           ? NGX_TRP_POOL_VIEW_STILL : NGX_TRP_POOL_VIEW_NEW;
}


/* is it the failure after which there is no tunnel in any worker? */

static ngx_trp_pool_view_e
ngx_trp_pool_view_down(ngx_trp_pool_t *pool, uint32_t hash)
{
    time_t              now;
    ngx_atomic_t       *counters;
    ngx_atomic_uint_t   state;

    counters = pool->view.entry.counters;
    state = counters[NGX_TRP_RELAY_STATE];

    if (state == NGX_TRP_POOL_VIEW_DOWN
        || ngx_trp_status_sum(&pool->view.entry, NGX_TRP_RELAY_TUNNELS) != 0
        || !ngx_atomic_cmp_set(&counters[NGX_TRP_RELAY_STATE], state,
                               NGX_TRP_POOL_VIEW_DOWN))
    {
        return NGX_TRP_POOL_VIEW_KNOWN;
    }

    now = ngx_time();

    counters[NGX_TRP_RELAY_TOLD_FIRST] = now;
    counters[NGX_TRP_RELAY_TOLD_LAST] = now;
    counters[NGX_TRP_RELAY_TOLD_TEXT] = hash;
    counters[NGX_TRP_RELAY_TOLD_TEXTS] = 1;

    if (state == NGX_TRP_POOL_VIEW_FIRST) {
        return NGX_TRP_POOL_VIEW_NONE;
    }

    if (state == NGX_TRP_POOL_VIEW_UP) {

        /* the worker that had the last one exits */
        counters[NGX_TRP_RELAY_SINCE] = now;
    }

    return NGX_TRP_POOL_VIEW_LOST;
}


time_t
ngx_trp_pool_view_since(ngx_trp_pool_t *pool)
{
    return ngx_time() - (time_t)
                        pool->view.entry.counters[NGX_TRP_RELAY_SINCE];
}
