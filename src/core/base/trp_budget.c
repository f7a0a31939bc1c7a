
/*
 * Copyright (C) the trp authors
 */


/*
 * A set-associative table of rates.  A source without an entry replaces the
 * least recently active one in its row, so a flood of sources needs no more
 * memory.
 */


#include "base/trp_budget.h"

#include <string.h>

#include <sodium.h>


static uint64_t trp_budget_hash(const uint8_t *key, const trp_addr_t *source);
static trp_budget_entry_t *trp_budget_find(trp_budget_t *budget,
    uint64_t hash);
static trp_budget_entry_t *trp_budget_get(trp_budget_t *budget, uint64_t hash,
    uint64_t now);


int
trp_budget_take(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint32_t limit, uint32_t burst, uint64_t now)
{
    trp_budget_entry_t  *entry;

    entry = trp_budget_get(budget, trp_budget_hash(key, source), now);

    return trp_rate_take_burst(&entry->rate, limit, burst, now);
}


void
trp_budget_see(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint64_t now)
{
    trp_budget_entry_t  *entry;

    entry = trp_budget_get(budget, trp_budget_hash(key, source), now);
    entry->seen = now;
}


int
trp_budget_seen(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint64_t time, uint64_t now)
{
    trp_budget_entry_t  *entry;

    entry = trp_budget_find(budget, trp_budget_hash(key, source));

    return entry && now - entry->seen < time;
}


static uint64_t
trp_budget_hash(const uint8_t *key, const trp_addr_t *source)
{
    uint64_t  hash;

    crypto_shorthash((uint8_t *) &hash, source->bytes,
                     source->family == 4 ? 4 : 8, key);

    return hash;
}


static trp_budget_entry_t *
trp_budget_find(trp_budget_t *budget, uint64_t hash)
{
    int                  i;
    trp_budget_entry_t  *row;

    row = budget->rows[hash % TRP_BUDGET_ROWS];

    for (i = 0; i < TRP_BUDGET_WAYS; i++) {
        if (row[i].source == hash) {
            return &row[i];
        }
    }

    return NULL;
}


/* the entry of the source, if need be in place of the least recently active */

static trp_budget_entry_t *
trp_budget_get(trp_budget_t *budget, uint64_t hash, uint64_t now)
{
    int                  i;
    trp_budget_entry_t  *row, *entry;

    entry = trp_budget_find(budget, hash);

    if (entry == NULL) {
        row = budget->rows[hash % TRP_BUDGET_ROWS];
        entry = &row[0];

        for (i = 1; i < TRP_BUDGET_WAYS; i++) {
            if (row[i].used < entry->used) {
                entry = &row[i];
            }
        }

        memset(entry, 0, sizeof(trp_budget_entry_t));
        entry->source = hash;
    }

    entry->used = now;

    return entry;
}
