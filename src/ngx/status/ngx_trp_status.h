
/*
 * Copyright (C) the trp authors
 */


/*
 * What an operator may see: a table in shared memory, the same for all modules
 * and workers of one nginx, which outlives reloads and workers.
 *
 * A row is something that has a name: an agent, a relay, a route.  It is found
 * by its kind and its first texts, and has counters, which only grow.  Each
 * worker that has to do with it has a part of the row, with gauges, which are
 * what there is now.  A row without parts is gone; it is kept, with its
 * counters and its last words, until others need its place or for the zone's
 * "inactive" time.
 *
 * Rows are found, made and left under the zone's lock.  Counting is one
 * addition in shared memory, and a gauge is a store; they need no lock.  Nor
 * does a reader, who looks at one row after another, see
 * ngx_trp_status_reader.h.
 */


#ifndef _NGX_TRP_STATUS_H_INCLUDED_
#define _NGX_TRP_STATUS_H_INCLUDED_


#include "status/ngx_trp_status_types.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_status_s       ngx_trp_status_t;


/*
 * A worker's part of a row, as the worker has it.  If there was no room, it
 * counts for nobody, and its owner need not know.
 */

typedef struct {
    ngx_trp_status_t       *status;
    ngx_trp_status_row_t   *row;         /* NULL: there was no room */
    ngx_trp_status_part_t  *part;
    ngx_atomic_t           *counters;    /* NGX_TRP_STATUS_COUNTERS */
    ngx_atomic_t           *gauges;      /* NGX_TRP_STATUS_GAUGES */
} ngx_trp_status_entry_t;


/* what was known of a row when it was opened */

typedef struct {
    time_t                  gone;        /* when its last part was closed */
    unsigned                is_new:1;    /* there was none */
    unsigned                is_gone:1;   /* it had no parts */
    unsigned                is_quiet:1;  /* and nobody was told of that yet */
} ngx_trp_status_past_t;


/* a row that has gone in silence, see ngx_trp_status_overdue() */

typedef struct {
    ngx_uint_t              kind;
    time_t                  gone;
    ngx_uint_t              quiet;       /* as _close() had it, or _KILLED */
    u_char                  data[NGX_TRP_STATUS_TEXT_SIZE];
    ngx_str_t               texts[NGX_TRP_STATUS_TEXTS];   /* in "data" */
} ngx_trp_status_gone_t;


/* what is said of a row after its end */

typedef struct {
    ngx_uint_t              counter;     /* one more */
    ngx_uint_t              time;        /* a counter that is "when" */
    time_t                  when;
    ngx_uint_t              text;        /* that is "why" */
    ngx_str_t               why;
} ngx_trp_status_loss_t;


/*
 * In a worker, for each module that uses the zone.  Parts of workers that have
 * died are closed.  The first module also looks after the worker's own row.
 * NULL: no memory.
 */

ngx_trp_status_t *ngx_trp_status_start(ngx_cycle_t *cycle,
    ngx_shm_zone_t *zone);

/* this worker exits: all parts that it still has are closed */

void ngx_trp_status_stop(ngx_trp_status_t *status);

/*
 * Finds or makes the row of a kind whose first "n" texts are these, and opens a
 * part of it; "past" may be NULL.  The texts that are not part of the name, and
 * those that are too long in sum, are set with _set().
 */

void ngx_trp_status_open(ngx_trp_status_t *status, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, ngx_trp_status_entry_t *entry,
    ngx_trp_status_past_t *past);

/*
 * Sets a text: not of the name, and seldom, since it takes the lock.  What does
 * not fit is cut.
 */

void ngx_trp_status_set(ngx_trp_status_entry_t *entry, ngx_uint_t i,
    const ngx_str_t *text);

/* an entry that counts for nobody, for an owner that has no row yet */

void ngx_trp_status_none(ngx_trp_status_t *status,
    ngx_trp_status_entry_t *entry);

/*
 * Closes the part: 1 if it was the last one, so that the row is gone now.  With
 * "quiet", a number of the caller's from 3 on, _overdue() tells of the row if
 * it does not come back.  The entry may be opened again.
 */

ngx_uint_t ngx_trp_status_close(ngx_trp_status_entry_t *entry,
    ngx_uint_t quiet);

/* the same, but a row that is gone now is forgotten, with its counters */

void ngx_trp_status_erase(ngx_trp_status_entry_t *entry);

/* a gauge, summed up over all parts of the row; takes the lock, so seldom */

ngx_atomic_uint_t ngx_trp_status_sum(ngx_trp_status_entry_t *entry,
    ngx_uint_t i);

/*
 * The row with this name, which may be gone, has been lost: that is counted and
 * kept as its last words.
 */

void ngx_trp_status_lost(ngx_trp_status_t *status, ngx_uint_t kind,
    const ngx_str_t *texts, ngx_uint_t n, const ngx_trp_status_loss_t *loss);

/*
 * A row that has been gone, quietly, for so many seconds; it is no longer quiet
 * then.  NGX_DECLINED: there is none.
 */

ngx_int_t ngx_trp_status_overdue(ngx_trp_status_t *status, time_t seconds,
    ngx_trp_status_gone_t *gone);


static ngx_inline void
ngx_trp_status_count(ngx_trp_status_entry_t *entry, ngx_uint_t i,
    ngx_atomic_int_t n)
{
    (void) ngx_atomic_fetch_add(&entry->counters[i], n);
}


static ngx_inline void
ngx_trp_status_gauge(ngx_trp_status_entry_t *entry, ngx_uint_t i,
    ngx_atomic_uint_t value)
{
    entry->gauges[i] = value;
}


#pragma GCC visibility pop


#endif /* _NGX_TRP_STATUS_H_INCLUDED_ */
