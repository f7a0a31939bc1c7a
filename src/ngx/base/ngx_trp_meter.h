
/*
 * Copyright (C) the trp authors
 */


/*
 * Bandwidth that many share.  A meter is a bucket of bytes, of one direction,
 * for a key or a group.  What reads, or writes, asks before, and says after it
 * how much that was.  While the bucket is empty those who ask wait in a queue;
 * each gets a chunk when it is its turn.
 */


#ifndef _NGX_TRP_METER_H_INCLUDED_
#define _NGX_TRP_METER_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/trp_limit.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_METERS  3


typedef struct {
    uint64_t          rate;              /* bytes per second */
    trp_bucket_t      bucket;
    ngx_queue_t       queue;             /* ngx_trp_metered_t */
    ngx_event_t       timer;

    /* those woken together take a chunk each, before any takes another */

    ngx_uint_t        round;
    ngx_uint_t        awaited;           /* have not yet taken theirs */
} ngx_trp_meter_t;


/* one that shares up to three of them; all zero at first */

typedef struct {
    ngx_queue_t       queue;             /* in that of "waits" */
    ngx_trp_meter_t  *meters[NGX_TRP_METERS];
    ngx_uint_t        n;
    ngx_trp_meter_t  *waits;             /* NULL: it does not */
    ngx_trp_meter_t  *turn;              /* it has waited for this one */
    ngx_uint_t        round;             /* when its turn came */

    /* it may ask again */
    void            (*wake)(void *data);
    void             *data;
} ngx_trp_metered_t;


void ngx_trp_meter_init(ngx_trp_meter_t *meter, uint64_t rate);
void ngx_trp_meter_done(ngx_trp_meter_t *meter);


/*
 * Bytes that may be read or written now, at most "size".  0: it waits, and
 * wake() will be called.
 */

size_t ngx_trp_metered_ask(ngx_trp_metered_t *metered, size_t size);

/* the same for what cannot wait: 1 or 0 */

ngx_uint_t ngx_trp_metered_try(ngx_trp_metered_t *metered);

void ngx_trp_metered_took(ngx_trp_metered_t *metered, size_t n);

/* it is over */

void ngx_trp_metered_leave(ngx_trp_metered_t *metered);


#pragma GCC visibility pop


#endif /* _NGX_TRP_METER_H_INCLUDED_ */
