
/*
 * Copyright (C) the trp authors
 */


/*
 * A name, what may be published and a destination, in one text: what is a
 * service stays one, and is its own only match.
 */


#include <stdlib.h>
#include <string.h>

#include "tunnel/trp_publish.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fuzz_service(trp_str_t name)
{
    uint8_t      buf[TRP_NAME_MAX_LEN + 1];
    trp_str_t    copy;
    trp_names_t  names;

    if (!trp_service_valid(name)) {
        return;
    }

    copy.data = buf;
    copy.len = trp_service_copy(buf, name);

    if (!trp_service_valid(copy)
        || trp_service_port(copy) != trp_service_port(name)
        || trp_publish_add(0, copy) != trp_publish_add(0, name))
    {
        abort();
    }

    /* but "1-2" is a host, and two ports */

    if (trp_names_parse(&names, name) == TRP_OK
        && (names.first == 0 || trp_service_port(copy))
        && !trp_names_match(&names, copy))
    {
        abort();
    }
}


/* the input: three lines */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t          i;
    uint8_t        *copy;
    trp_str_t       text[3];
    trp_names_t     names;
    trp_publish_t   publish;
    const uint8_t  *p;

    /* without a byte to spare, so that ASan sees reads past the end */

    copy = malloc(size ? size : 1);
    if (copy == NULL) {
        return 0;
    }

    memcpy(copy, data, size);
    data = copy;

    for (i = 0; i < 3; i++) {
        p = size ? memchr(data, '\n', size) : NULL;

        text[i].data = data;
        text[i].len = p ? (size_t) (p - data) : size;

        size -= text[i].len + (p != NULL);
        data += text[i].len + (p != NULL);
    }

    fuzz_service(text[0]);

    if (trp_names_parse(&names, text[1]) == TRP_OK) {
        trp_names_match(&names, text[0]);
    }

    if (trp_publish_parse(&publish, text[0], text[2]) == NULL
        && (publish.port == 0 || publish.host.len == 0))
    {
        abort();
    }

    free(copy);

    return 0;
}
