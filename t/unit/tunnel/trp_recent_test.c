
/*
 * Copyright (C) the trp authors
 */


/* ids that are remembered, and forgotten in their order */


#include "tap.h"

#include "tunnel/trp_recent.h"


static trp_recent_t  recent;


static void
name(uint8_t *id, unsigned i)
{
    memset(id, 0, TRP_STREAM_ID_LEN);

    id[0] = (uint8_t) (i >> 8);
    id[TRP_STREAM_ID_LEN - 1] = (uint8_t) i;
}


int
main(void)
{
    unsigned  i, k, wrong;
    uint8_t   id[TRP_STREAM_ID_LEN];

    name(id, 0);
    is_int(trp_recent_has(&recent, id), 0, "empty, also of the id of zeros");

    wrong = 0;

    for (i = 0; i < 1000; i++) {
        name(id, i);
        wrong += trp_recent_has(&recent, id);
        trp_recent_add(&recent, id);

        for (k = 0; k <= i; k++) {
            name(id, k);
            wrong += trp_recent_has(&recent, id)
                     != (i - k < TRP_RECENT_MAX);
        }
    }

    is_int(wrong, 0, "the last ones, and no other");

    return done_testing();
}
