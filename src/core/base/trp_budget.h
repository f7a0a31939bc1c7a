
/*
 * Copyright (C) the trp authors
 */


/*
 * How often a source may be answered: a table of a fixed size, for any number
 * of sources.  A source that is not in it takes the place of the one in its
 * row that has been quiet for the longest time.
 */


#ifndef TRP_BUDGET_H_INCLUDED
#define TRP_BUDGET_H_INCLUDED


#include "base/trp_core.h"
#include "base/trp_limit.h"


#pragma GCC visibility push(hidden)


#define TRP_BUDGET_ROWS  1024
#define TRP_BUDGET_WAYS  4


typedef struct {
    uint64_t      source;
    trp_rate_t    rate;
    uint64_t      used;            /* milliseconds */
    uint64_t      seen;
} trp_budget_entry_t;


/* all zero at first; "key" is of TRP_HASH_KEY_LEN secret bytes */

typedef struct {
    trp_budget_entry_t  rows[TRP_BUDGET_ROWS][TRP_BUDGET_WAYS];
} trp_budget_t;


/*
 * TRP_OK, or TRP_DECLINED if the source has used up "limit" per second and
 * "burst" at once; a limit of 0 is none.  An IPv6 source is its /64.
 */

int trp_budget_take(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint32_t limit, uint32_t burst, uint64_t now);

/* the source was seen, in another way than by taking; was it lately? */

void trp_budget_see(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint64_t now);
int trp_budget_seen(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint64_t time, uint64_t now);


#pragma GCC visibility pop


#endif /* TRP_BUDGET_H_INCLUDED */
