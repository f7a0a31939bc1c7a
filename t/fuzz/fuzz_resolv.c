
/*
 * Copyright (C) the trp authors
 */


/* resolv.conf and hosts: what is taken from them is within bounds and valid. */


#include <stdlib.h>

#include "base/trp_addr.h"
#include "names/trp_resolv.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned      i;
    trp_str_t     text, domain;
    trp_addr_t    addr;
    trp_resolv_t  resolv;

    static const trp_str_t  name = trp_string("a.b");

    text.len = size;
    text.data = data;

    trp_resolv_parse(&resolv, text);

    if (resolv.nservers == 0 || resolv.nservers > TRP_RESOLV_SERVERS
        || resolv.nsearch > TRP_RESOLV_SEARCH)
    {
        abort();
    }

    for (i = 0; trp_resolv_domain(&resolv, name, i, &domain) == TRP_OK; i++) {
        if (domain.len && !trp_name_valid(domain)) {
            abort();
        }
    }

    if (i != resolv.nsearch + 1) {
        abort();
    }

    while (trp_hosts_next(&text, name, &addr) == TRP_OK) {
        if (addr.family == 0) {
            abort();
        }
    }

    return 0;
}
