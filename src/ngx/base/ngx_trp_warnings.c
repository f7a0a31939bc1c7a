
/*
 * Copyright (C) the trp authors
 */


/*
 * What was written lately is in a table in which an id has one place: ids that
 * share it, and workers that do not see each other, cost a warning more.  The
 * rate is that of a leaky bucket, kept as the time when it will be empty.
 */


#include "base/ngx_trp_warnings.h"

#include <sodium.h>


/* milliseconds after which lines that were left out are told */
#define NGX_TRP_WARNINGS_TIME  10000

#define NGX_TRP_WARNINGS_STEP  (1000 / NGX_TRP_WARNINGS_RATE)

/* half of the bits of a place in the table */
#define NGX_TRP_WARNINGS_BITS  (sizeof(ngx_atomic_uint_t) * 4)
#define NGX_TRP_WARNINGS_MASK                                                 \
    (((ngx_atomic_uint_t) 1 << NGX_TRP_WARNINGS_BITS) - 1)


static ngx_atomic_uint_t ngx_trp_warnings_mark(uint64_t id);
static ngx_uint_t ngx_trp_warnings_known(ngx_atomic_uint_t old,
    ngx_atomic_uint_t mark);
static ngx_uint_t ngx_trp_warnings_take(ngx_trp_warnings_shared_t *shared);
static void ngx_trp_warnings_handler(ngx_event_t *ev);


void
ngx_trp_warnings_init(ngx_trp_warnings_t *warnings,
    ngx_trp_warnings_shared_t *shared, const char *what, ngx_log_t *log)
{
    warnings->shared = shared;
    warnings->what = what;

    warnings->event.data = warnings;
    warnings->event.log = log;
    warnings->event.handler = ngx_trp_warnings_handler;
    warnings->event.cancelable = 1;
}


uint64_t
ngx_trp_warnings_id(const u_char *data, size_t len)
{
    uint64_t  id;

    static const u_char  key[crypto_shorthash_KEYBYTES];

    (void) crypto_shorthash((u_char *) &id, data, len, key);

    return id;
}


ngx_uint_t
ngx_trp_warnings_level(ngx_trp_warnings_t *warnings, uint64_t id)
{
    ngx_atomic_t               *place;
    ngx_atomic_uint_t           mark;
    ngx_trp_warnings_shared_t  *shared;

    shared = warnings->shared;

    mark = ngx_trp_warnings_mark(id);
    place = &shared->known[id % NGX_TRP_WARNINGS_KNOWN];

    if (ngx_trp_warnings_known(*place, mark)) {
        return NGX_LOG_INFO;
    }

    if (ngx_trp_warnings_take(shared)) {
        *place = mark;
        return NGX_LOG_WARN;
    }

    (void) ngx_atomic_fetch_add(&shared->left_out, 1);

    if (!warnings->event.timer_set) {
        ngx_add_timer(&warnings->event, NGX_TRP_WARNINGS_TIME);
    }

    return NGX_LOG_INFO;
}


static ngx_atomic_uint_t
ngx_trp_warnings_mark(uint64_t id)
{
    return ((ngx_atomic_uint_t) (id >> 32) << NGX_TRP_WARNINGS_BITS)
           | ((ngx_atomic_uint_t) ngx_time() & NGX_TRP_WARNINGS_MASK);
}


/* 1: the mark in its place is of this id, and not old */

static ngx_uint_t
ngx_trp_warnings_known(ngx_atomic_uint_t old, ngx_atomic_uint_t mark)
{
    return old != 0
           && ((old ^ mark) & ~NGX_TRP_WARNINGS_MASK) == 0
           && ((mark - old) & NGX_TRP_WARNINGS_MASK) < NGX_TRP_WARNINGS_REPEAT;
}


static ngx_uint_t
ngx_trp_warnings_take(ngx_trp_warnings_shared_t *shared)
{
    ngx_msec_int_t     ahead;
    ngx_atomic_uint_t  old;

    for ( ;; ) {
        old = shared->due;
        ahead = (ngx_msec_int_t) (old - ngx_current_msec);
        ahead = ngx_max(ahead, 0);

        if (ahead > (NGX_TRP_WARNINGS_BURST - 1) * NGX_TRP_WARNINGS_STEP) {
            return 0;
        }

        if (ngx_atomic_cmp_set(&shared->due, old,
                               ngx_current_msec + ahead
                               + NGX_TRP_WARNINGS_STEP))
        {
            return 1;
        }
    }
}


static void
ngx_trp_warnings_handler(ngx_event_t *ev)
{
    ngx_atomic_uint_t    n;
    ngx_trp_warnings_t  *warnings;

    warnings = ev->data;

    do {
        n = warnings->shared->left_out;
    } while (!ngx_atomic_cmp_set(&warnings->shared->left_out, n, 0));

    if (n) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "%uA lines about %s were left out, the level \"info\" "
                      "has all of them", n, warnings->what);
    }
}
