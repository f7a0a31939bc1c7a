
#include "trp_budget.h"

#include <string.h>

#include <sodium.h>


int
trp_budget_take(trp_budget_t *budget, const uint8_t *key,
    const trp_addr_t *source, uint32_t limit, uint64_t now)
{
    int                  i;
    uint64_t             hash;
    trp_budget_entry_t  *row, *entry;

    crypto_shorthash((uint8_t *) &hash, source->bytes,
                     source->family == 4 ? 4 : 8, key);

    row = budget->rows[hash % TRP_BUDGET_ROWS];
    entry = &row[0];

    for (i = 0; i < TRP_BUDGET_WAYS; i++) {

        if (row[i].source == hash) {
            return trp_rate_take(&row[i].rate, limit, now);
        }

        if (row[i].rate.last < entry->rate.last) {
            entry = &row[i];
        }
    }

    memset(entry, 0, sizeof(trp_budget_entry_t));
    entry->source = hash;

    return trp_rate_take(&entry->rate, limit, now);
}
