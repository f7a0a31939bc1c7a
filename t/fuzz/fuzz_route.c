
/*
 * Copyright (C) the trp authors
 */


/*
 * The text of a route: what is accepted has a port, a host and a source that
 * make sense.
 */


#include <stdlib.h>

#include "base/trp_addr.h"
#include "tunnel/trp_route.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    trp_str_t    text;
    trp_route_t  route;
    const char  *err;

    text.len = size;
    text.data = data;

    err = trp_route_parse(&route, text);

    if (err) {
        return 0;
    }

    /* what a route that was accepted can be relied on for */

    if (route.listen_port == 0 || route.port == 0 || route.host.len == 0) {
        abort();
    }

    if (route.listen_last < route.listen_port
        || (route.each
            && route.listen_last - route.listen_port > 65535 - route.port))
    {
        abort();
    }

    if (route.addr.family == 0 && !trp_name_valid(route.host)) {
        abort();
    }

    if (route.source.addr.family
        && !trp_cidr_match(&route.source, &route.source.addr))
    {
        abort();
    }

    return 0;
}
