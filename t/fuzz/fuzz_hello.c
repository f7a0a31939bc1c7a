
#include <stdlib.h>

#include "trp_wire.h"


#define PREFIXES  512


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* the input: the beginning of a connection */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int     slot, prefix;
    size_t  n;

    slot = trp_hello_slot(data, size);

    if (slot >= TRP_SLOTS
        || (slot < 0 && slot != TRP_AGAIN && slot != TRP_DECLINED))
    {
        abort();
    }

    /* what was decided stays so when more bytes arrive */

    for (n = 0; n < size && n < PREFIXES; n++) {
        prefix = trp_hello_slot(data, n);

        if (prefix != TRP_AGAIN && prefix != slot) {
            abort();
        }
    }

    return 0;
}
