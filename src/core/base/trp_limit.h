
/*
 * Copyright (C) the trp authors
 */


/*
 * Limits on what a peer may use, and a rate that is held to its limit.
 */


#ifndef TRP_LIMIT_H_INCLUDED
#define TRP_LIMIT_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


/* of a key, or of a group; 0: no limit */

typedef struct {
    uint32_t    tunnels;
    uint32_t    streams;           /* at once */
    uint32_t    opens;             /* streams per second */
} trp_limits_t;


/* a leaky bucket that holds what the limit allows in one second; all zero */

typedef struct {
    uint64_t    level;             /* thousandths */
    uint64_t    last;              /* milliseconds */
} trp_rate_t;


/*
 * Reads "tunnels=8", "streams=100" or "opens=50r/s".  TRP_OK; TRP_DECLINED
 * for what stands twice; TRP_ERROR.
 */

int trp_limits_parse(trp_limits_t *limits, trp_str_t text);

/* "own" where it says something, else "other" */

trp_limits_t trp_limits_merge(const trp_limits_t *own,
    const trp_limits_t *other);


/*
 * One more at "now", in milliseconds of any clock that does not go back:
 * TRP_OK, or TRP_DECLINED if that would be more than "limit" per second, which
 * is then not counted.  There is no limit if it is 0.
 */

int trp_rate_take(trp_rate_t *rate, uint32_t limit, uint64_t now);

/* the same, of a bucket that holds "burst" */

int trp_rate_take_burst(trp_rate_t *rate, uint32_t limit, uint32_t burst,
    uint64_t now);

/* as trp_rate_take() for "n" more, of a limit below 2^48 */

int trp_rate_take_n(trp_rate_t *rate, uint64_t limit, uint64_t n,
    uint64_t now);


#pragma GCC visibility pop


#endif /* TRP_LIMIT_H_INCLUDED */
