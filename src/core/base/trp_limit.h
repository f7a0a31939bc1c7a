
/*
 * Copyright (C) the trp authors
 */


/*
 * Limits on what a peer may use, and rate limiting.
 */


#ifndef TRP_LIMIT_H_INCLUDED
#define TRP_LIMIT_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* the limits of a key or a group; 0: no limit */

typedef struct {
    uint32_t    tunnels;
    uint32_t    streams;           /* at once */
    uint32_t    opens;             /* streams per second */
    uint32_t    publish;           /* published names and ports */
    uint64_t    rate;              /* bytes per second, in each direction */
} trp_limits_t;


/* of a rate in bytes per second */

#define TRP_LIMIT_RATE_MAX  ((uint64_t) 1 << 40)


/* a leaky bucket that holds one second's worth; initially all zero */

typedef struct {
    uint64_t    level;             /* thousandths of one event */
    uint64_t    last;              /* milliseconds */
} trp_rate_t;


/*
 * Reads "tunnels=8", "streams=100", "opens=50r/s", "publish=5", "rate=10m".
 * TRP_OK; TRP_DECLINED if this limit is already set; TRP_ERROR if the text is
 * invalid.
 */

int trp_limits_parse(trp_limits_t *limits, trp_str_t text);

/* 1 if any limit is set */

int trp_limits_set(const trp_limits_t *limits);

/* each limit from "own" if it is set there, else from "other" */

trp_limits_t trp_limits_merge(const trp_limits_t *own,
    const trp_limits_t *other);


/*
 * A bucket of bytes that fills at a rate, and holds a tenth of a second's
 * worth.  It may be overdrawn by what is taken at once, a chunk at most.
 * Initially all zero.
 */

typedef struct {
    int64_t     level;             /* thousandths of a byte */
    uint64_t    last;              /* milliseconds */
} trp_bucket_t;

/* milliseconds until there is something in it, 0: there is */

uint64_t trp_bucket_wait(trp_bucket_t *bucket, uint64_t rate, uint64_t now);

void trp_bucket_take(trp_bucket_t *bucket, size_t n);

/* bytes to be taken at once, so that many can take turns */

size_t trp_bucket_chunk(uint64_t rate);


/*
 * Counts one event at "now", in milliseconds of any monotonic clock.  TRP_OK,
 * or TRP_DECLINED if it would exceed "limit" per second; it is not counted
 * then.  A limit of 0 means no limit.
 */

int trp_rate_take(trp_rate_t *rate, uint32_t limit, uint64_t now);

/* the same with a bucket that holds "burst" events */

int trp_rate_take_burst(trp_rate_t *rate, uint32_t limit, uint32_t burst,
    uint64_t now);

/* trp_rate_take() for "n" events at once; the limit must be below 2^48 */

int trp_rate_take_n(trp_rate_t *rate, uint64_t limit, uint64_t n,
    uint64_t now);


#pragma GCC visibility pop


#endif /* TRP_LIMIT_H_INCLUDED */
