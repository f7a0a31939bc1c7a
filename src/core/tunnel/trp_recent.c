
/*
 * Copyright (C) the trp authors
 */


/* A ring of ids: a new one replaces the oldest. */


#include <string.h>

#include "tunnel/trp_recent.h"


void
trp_recent_add(trp_recent_t *recent, const uint8_t id[TRP_STREAM_ID_LEN])
{
    trp_assert(recent->n < 2 * TRP_RECENT_MAX);

    memcpy(recent->ids[recent->n % TRP_RECENT_MAX], id, TRP_STREAM_ID_LEN);

    recent->n++;

    if (recent->n == 2 * TRP_RECENT_MAX) {

        /* the ring stays full, and the number does not overflow */
        recent->n = TRP_RECENT_MAX;
    }
}


int
trp_recent_has(const trp_recent_t *recent, const uint8_t id[TRP_STREAM_ID_LEN])
{
    uint32_t  i, n;

    n = recent->n < TRP_RECENT_MAX ? recent->n : TRP_RECENT_MAX;

    for (i = 0; i < n; i++) {
        if (memcmp(recent->ids[i], id, TRP_STREAM_ID_LEN) == 0) {
            return 1;
        }
    }

    return 0;
}
