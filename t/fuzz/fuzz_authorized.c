
/*
 * Copyright (C) the trp authors
 */


/*
 * A file of authorized keys: a line is a key, none, or a mistake with a
 * reason, and each option of a key can be asked.
 */


#include <stdlib.h>
#include <string.h>

#include "tunnel/trp_authorized.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void
fuzz_line(trp_str_t line)
{
    int                    rc;
    trp_str_t              option;
    trp_addr_t             addr;
    const char            *err;
    trp_acl_rule_t        *rules;
    trp_authorized_key_t   key;

    err = NULL;
    rules = NULL;
    rc = trp_authorized_key_parse(&key, line, &err, &option);

    if (rc != TRP_OK) {
        if (key.roles != 0 || (rc == TRP_ERROR && err == NULL)
            || (option.len && (option.data < line.data
                               || option.data + option.len
                                  > line.data + line.len)))
        {
            abort();
        }

        return;
    }

    memset(&addr, 0, sizeof(addr));

    if (key.roles == 0
        || (key.from.data && trp_authorized_key_allows_from(&key, &addr)))
    {
        abort();
    }

    if (key.nrules) {
        rules = malloc(key.nrules * sizeof(trp_acl_rule_t));
        if (rules == NULL) {
            abort();
        }

        trp_authorized_key_rules(&key, rules);
    }

    trp_authorized_key_allows_group(&key, line);
    trp_authorized_key_allows_open(&key, &addr, line, 1);

    addr.family = 4;
    trp_authorized_key_allows_open(&key, &addr, line, 1);
    trp_authorized_key_expired(&key, 0);

    if (trp_authorized_key_allows_listen(&key, line)
        && key.permitlisten.data == NULL)
    {
        abort();
    }

    free(rules);
}


/* the input: a file of authorized keys */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    trp_str_t       text;
    const uint8_t  *p;

    text.len = size;
    text.data = data;

    while (text.len) {
        p = memchr(text.data, '\n', text.len);
        size = p ? (size_t) (p - text.data) : text.len;

        fuzz_line((trp_str_t) { size, text.data });

        size += (p != NULL);
        text.data += size;
        text.len -= size;
    }

    return 0;
}
