
/*
 * Copyright (C) the trp authors
 */


/*
 * The text of a route: what is accepted has a port, a host and a source that
 * make sense.
 */


#include <stdlib.h>

#include "base/trp_addr.h"
#include "base/trp_path.h"
#include "tunnel/trp_route.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const trp_route_t *route);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    trp_str_t    text;
    trp_route_t  route;
    const char  *err;

    text.len = size;
    text.data = data;

    err = trp_route_parse(&route, text);

    if (err == NULL) {
        check(&route);

        if ((route.listen_port == 0) == (route.listen_path.len == 0)
            || route.listen_last < route.listen_port
            || (route.each
                && route.listen_last - route.listen_port
                   > 65535 - route.port))
        {
            abort();
        }
    }

    err = trp_route_parse_destination(&route, text);

    if (err == NULL) {
        check(&route);

        if (route.variable.len || route.each) {
            abort();
        }
    }

    return 0;
}


/* what a route that was accepted can be relied on for */

static void
check(const trp_route_t *route)
{
    trp_str_t  path;

    if (route->source.addr.family
        && !trp_cidr_match(&route->source, &route->source.addr))
    {
        abort();
    }

    if (route->variable.len) {
        return;
    }

    if (trp_path_get(route->host, &path)) {

        if (!trp_path_valid(path) || route->addr.family || route->port) {
            abort();
        }

        return;
    }

    if (route->port == 0
        || (route->addr.family == 0 && !trp_name_valid(route->host)))
    {
        abort();
    }
}
