
/*
 * Copyright (C) the trp authors
 */


/*
 * The answer to a request for a WebSocket: its parts lie inside of it, and it
 * ends where it ended before more had come.
 */


#include <stdlib.h>
#include <string.h>

#include "portal/trp_upgrade.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static int
fuzz_inside(trp_str_t part, const uint8_t *p, size_t size)
{
    return part.len == 0
           || (part.data >= p && part.data + part.len <= p + size);
}


/* the input: an answer; what was understood stays so when more bytes come */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int            rc;
    size_t         head, again;
    uint8_t       *p;
    trp_str_t      text;
    trp_upgrade_t  u;

    p = malloc(size + 1);
    if (p == NULL) {
        return 0;
    }

    memcpy(p + 1, data, size);

    text.data = p + 1;
    text.len = size;

    rc = trp_upgrade_parse(&u, text, &head);

    if (rc == TRP_OK) {
        if (head > size || u.status > 999
            || !fuzz_inside(u.accept, text.data, head)
            || !fuzz_inside(u.later, text.data, head))
        {
            abort();
        }

        if (trp_upgrade_check(&u, u.accept) == TRP_OK && u.status != 101) {
            abort();
        }

        text.len = head;

        if (trp_upgrade_parse(&u, text, &again) != TRP_OK || again != head) {
            abort();
        }

        text.len = head - 1;

        if (trp_upgrade_parse(&u, text, &again) != TRP_AGAIN) {
            abort();
        }
    }

    free(p);

    return 0;
}
