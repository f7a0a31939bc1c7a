
/*
 * Copyright (C) the trp authors
 */


/*
 * A request for a WebSocket, and the answer to one: their parts lie inside of
 * them, and they end where they ended before more had come.
 */


#include <stdlib.h>
#include <string.h>

#include "websocket/trp_upgrade.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static int
fuzz_inside(trp_str_t part, const uint8_t *p, size_t size)
{
    return part.len == 0
           || (part.data >= p && part.data + part.len <= p + size);
}


static void
fuzz_request(trp_str_t text)
{
    size_t                 head, again;
    trp_upgrade_request_t  r;

    if (trp_upgrade_request(&r, text, &head) != TRP_OK) {
        return;
    }

    if (head > text.len || r.slot < TRP_DECLINED || r.slot > 63
        || !fuzz_inside(r.path, text.data, head)
        || !fuzz_inside(r.key, text.data, head)
        || !fuzz_inside(r.forwarded, text.data, head))
    {
        abort();
    }

    (void) trp_upgrade_request_check(&r);

    text.len = head - 1;

    if (trp_upgrade_request(&r, text, &again) != TRP_AGAIN) {
        abort();
    }
}


/* the input: either of them; what was understood stays so with more bytes */

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

    fuzz_request(text);

    rc = trp_upgrade_parse(&u, text, &head);

    if (rc == TRP_OK) {
        if (head > size || u.status > 999
            || !fuzz_inside(u.accept, text.data, head)
            || !fuzz_inside(u.later, text.data, head))
        {
            abort();
        }

        if (trp_upgrade_check(&u, u.accept, u.protocol) == TRP_OK
            && u.status != 101)
        {
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
