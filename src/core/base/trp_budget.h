
/*
 * Copyright (C) the trp authors
 */


/*
 * Limits how often each source is answered: a table of fixed size for any
 * number of sources.  A new source replaces the least recently active one in
 * its row.
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


/* initially all zero; "key" below is TRP_HASH_KEY_LEN secret bytes */

typedef struct {
    trp_budget_entry_t  rows[TRP_BUDGET_ROWS][TRP_BUDGET_WAYS];
} trp_budget_t;


/*
 * TRP_OK, or TRP_DECLINED if the source has exceeded "limit" per second with
 * bursts of up to "burst"; a limit of 0 means no limit.  IPv6 sources are
 * counted per /64.
 */

int trp_budget_take(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint32_t limit, uint32_t burst, uint64_t now);

/*
 * Notes that the source was active without taking from its budget; tells
 * whether it was within the last "time" milliseconds
 */

void trp_budget_see(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint64_t now);
int trp_budget_seen(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint64_t time, uint64_t now);


#pragma GCC visibility pop


#endif /* TRP_BUDGET_H_INCLUDED */
