
/*
 * Copyright (C) the trp authors
 */


/*
 * The search for a slot in the first bytes of a connection: what it says of
 * a part it says of the whole.
 */


#include <stdlib.h>
#include <string.h>

#include "tunnel/trp_wire.h"


#define PREFIXES  512


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* of a copy, as records are joined in place */

static int
slot_of(const uint8_t *data, size_t size)
{
    int       slot;
    uint8_t  *copy;

    copy = malloc(size ? size : 1);
    memcpy(copy, data, size);

    slot = trp_hello_slot(copy, size);
    free(copy);

    return slot;
}


/* the input: the beginning of a connection */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int     slot, prefix;
    size_t  n;

    slot = slot_of(data, size);

    if (slot >= TRP_SLOTS
        || (slot < 0 && slot != TRP_AGAIN && slot != TRP_DECLINED))
    {
        abort();
    }

    /* what was decided stays so when more bytes arrive */

    for (n = 0; n < size && n < PREFIXES; n++) {
        prefix = slot_of(data, n);

        if (prefix != TRP_AGAIN && prefix != slot) {
            abort();
        }
    }

    return 0;
}
