
/*
 * Copyright (C) the trp authors
 */


/*
 * A route is split at the colons outside of brackets; the number of parts
 * determines its form.
 */


#include <string.h>

#include "base/trp_addr.h"
#include "base/trp_path.h"
#include "tunnel/trp_route.h"


#define TRP_ROUTE_PARTS      4

/* 8 groups of IPv6, 3 more parts, and 1 to detect that there are more */

#define TRP_ROUTE_MAX_PARTS  12


static const char *trp_route_parse_parts(trp_route_t *route, trp_str_t *part,
    size_t n);
static const char *trp_route_parse_to(trp_route_t *route, trp_str_t *part,
    size_t n);
static const char *trp_route_split(trp_str_t text, trp_str_t *part,
    size_t *n);
static trp_str_t trp_route_rest(const uint8_t *p, const uint8_t *end);
static int trp_route_has_bare_ipv6(trp_str_t *part, size_t n);
static const char *trp_route_parse_source(trp_route_t *route, trp_str_t text);
static int trp_route_is_whole(const trp_cidr_t *cidr);
static const char *trp_route_parse_port(trp_route_t *route, trp_str_t text);
static const char *trp_route_parse_host(trp_route_t *route, trp_str_t text);
static const char *trp_route_parse_range(trp_str_t text, uint16_t *first,
    uint16_t *last);
static int trp_route_is_ports(trp_str_t text);


static const char  trp_route_empty_host[] =
    "has an empty host, write \"PORT:PORT\" for 127.0.0.1";

static const char  trp_route_empty_port[] = "has an empty port";
static const char  trp_route_bad_port[] = "has an invalid port";

static const trp_str_t  trp_route_localhost = trp_string("127.0.0.1");


const char *
trp_route_parse(trp_route_t *route, trp_str_t text)
{
    size_t       n;
    trp_str_t    part[TRP_ROUTE_MAX_PARTS];
    const char  *err;

    memset(route, 0, sizeof(trp_route_t));

    if (text.len == 0) {
        return "is empty";
    }

    err = trp_route_split(text, part, &n);
    if (err) {
        return err;
    }

    err = trp_route_parse_parts(route, part, n);

    if (err && err != trp_route_empty_host
        && trp_route_has_bare_ipv6(part, n))
    {
        return "has an unbracketed IPv6 address, write it as [ADDRESS]";
    }

    return err;
}


static const char *
trp_route_parse_parts(trp_route_t *route, trp_str_t *part, size_t n)
{
    const char  *err;

    if (n < 2) {
        return "is missing a part, write at least \"PORT:PORT\"";
    }

    if (n > TRP_ROUTE_PARTS) {
        return "has too many parts, "
               "write at most \"ADDRESS:PORT:HOST:PORT\"";
    }

    if (trp_path_get(part[0], &route->listen_path)) {
        route->listen_path = part[0];

        return trp_route_parse_to(route, &part[1], n - 1);
    }

    if (n == 4
        || (n == 3 && !trp_route_is_ports(part[0])))
    {
        err = trp_route_parse_source(route, *part++);
        if (err) {
            return err;
        }

        n--;
    }

    if (part[0].len == 0) {
        return trp_route_empty_port;
    }

    err = trp_route_parse_range(part[0], &route->listen_port,
                                &route->listen_last);
    if (err) {
        return err == trp_route_bad_port
               ? "has an invalid listen port, a port is 1 to 65535" : err;
    }

    return trp_route_parse_to(route, &part[1], n - 1);
}


/* the parts of a destination */

static const char *
trp_route_parse_to(trp_route_t *route, trp_str_t *part, size_t n)
{
    trp_str_t    text, path;
    const char  *err;

    text.data = part[0].data;
    text.len = (size_t) (part[n - 1].data + part[n - 1].len - text.data);

    if (text.len && memchr(text.data, '$', text.len) != NULL) {
        route->variable = text;
        return NULL;
    }

    if (trp_path_get(part[0], &path)) {

        if (n != 1) {
            return "has text after the path of a unix socket";
        }

        if (!trp_path_valid(path)) {
            return "has an invalid path of a unix socket";
        }

        route->host = part[0];

        return NULL;
    }

    if (n > 2) {
        return "has too many parts after \"unix:/PATH\"";
    }

    err = trp_route_parse_port(route, part[n - 1]);
    if (err) {
        return err;
    }

    return trp_route_parse_host(route, n == 2 ? part[0] : trp_route_localhost);
}


const char *
trp_route_parse_destination(trp_route_t *route, trp_str_t text)
{
    size_t       n;
    trp_str_t    part[TRP_ROUTE_MAX_PARTS];
    const char  *err;

    memset(route, 0, sizeof(trp_route_t));

    if (text.len == 0) {
        return "is empty";
    }

    err = trp_route_split(text, part, &n);
    if (err) {
        return err;
    }

    if (n > 2) {
        return "is not \"HOST:PORT\"";
    }

    err = trp_route_parse_to(route, part, n);

    /* what came out of a variable has none */

    if (err == NULL && route->variable.len) {
        return "has an invalid destination host";
    }

    return err;
}


/* splits at the colons outside of brackets; parts past the maximum are lost */

static const char *
trp_route_split(trp_str_t text, trp_str_t *part, size_t *n)
{
    size_t          count;
    trp_str_t       path;
    const uint8_t  *p, *end, *start;

    p = text.data;
    end = p + text.len;

    for (count = 0; count < TRP_ROUTE_MAX_PARTS; count++) {
        start = p;

        if (trp_path_get(trp_route_rest(p, end), &path)) {
            p = path.data;

        } else if (p < end && *p == '[') {
            p = memchr(p, ']', end - p);
            if (p == NULL) {
                return "has an unclosed bracket";
            }
        }

        while (p < end && *p != ':') {
            p++;
        }

        part[count].data = start;
        part[count].len = p - start;

        if (p == end) {
            count++;
            break;
        }

        p++;
    }

    *n = count;

    return NULL;
}


static trp_str_t
trp_route_rest(const uint8_t *p, const uint8_t *end)
{
    trp_str_t  rest;

    rest.data = p;
    rest.len = (size_t) (end - p);

    return rest;
}


/* is some run of parts, but not all of them, an IPv6 address or block? */

static int
trp_route_has_bare_ipv6(trp_str_t *part, size_t n)
{
    size_t      i, k;
    trp_str_t   run;
    trp_cidr_t  cidr;

    for (i = 0; i + 2 < n; i++) {

        for (k = i + 2; k < n; k++) {

            if (i == 0 && k == n - 1) {
                break;
            }

            run.data = part[i].data;
            run.len = part[k].data + part[k].len - run.data;

            if (trp_cidr_parse(&cidr, run) == TRP_OK) {
                return 1;
            }
        }
    }

    return 0;
}


static const char *
trp_route_parse_source(trp_route_t *route, trp_str_t text)
{
    int         low_bits;
    trp_addr_t  addr;

    if (text.len == 0) {
        return "has an empty source, leave out its colon for any source";
    }

    if (trp_cidr_parse_bits(&route->source, text, &low_bits) != TRP_OK) {
        return "has an invalid source, a source must be an address or a block";
    }

    route->low_bits = (low_bits != 0);
    route->plain = (memchr(text.data, '/', text.len) == NULL);

    addr = route->source.addr;

    if (trp_addr_this_host(&addr) && trp_route_is_whole(&route->source)) {
        return "has a source that nobody connects from, leave it out to let "
               "anybody connect, and write \"bind=ADDRESS\" for where to "
               "listen";
    }

    return NULL;
}


/* one address, not a block */

static int
trp_route_is_whole(const trp_cidr_t *cidr)
{
    return cidr->prefix == trp_addr_len(&cidr->addr) * 8;
}


static const char *
trp_route_parse_port(trp_route_t *route, trp_str_t text)
{
    uint16_t     last;
    const char  *err;

    if (text.len == 0) {
        return trp_route_empty_port;
    }

    err = trp_route_parse_range(text, &route->port, &last);

    if (err) {
        return err == trp_route_bad_port
               ? "has an invalid destination port, a port is 1 to 65535" : err;
    }

    if (last == route->port) {
        return NULL;
    }

    if (last - route->port != route->listen_last - route->listen_port) {
        return "has ranges of different lengths, write a range of destination "
               "ports as long as that of the ports to listen on, or one port";
    }

    route->each = 1;

    return NULL;
}


/* one port, or FIRST-LAST */

static const char *
trp_route_parse_range(trp_str_t text, uint16_t *first, uint16_t *last)
{
    if (memchr(text.data, '-', text.len) == NULL) {
        *first = trp_port_parse(text);
        *last = *first;

        return *first ? NULL : trp_route_bad_port;
    }

    if (trp_port_range_parse(text, first, last) == TRP_OK) {
        return NULL;
    }

    return (*first && *last) ? "has a range of ports that ends before it starts"
                             : trp_route_bad_port;
}


static const char *
trp_route_parse_host(trp_route_t *route, trp_str_t text)
{
    int  rc;

    if (text.len == 0) {
        return trp_route_empty_host;
    }

    if (memchr(text.data, '/', text.len) != NULL) {
        return "has a block as its destination, it must be one address";
    }

    if (text.data[0] == '[') {

        if (text.data[text.len - 1] != ']') {
            return "has text after a bracket";
        }

        route->host.data = text.data + 1;
        route->host.len = text.len - 2;

        rc = trp_addr_parse(&route->addr, route->host);

        if (rc != TRP_OK || route->addr.family != 6) {
            return "has brackets around a destination that is not "
                   "an IPv6 address";
        }

        return NULL;
    }

    route->host = text;

    if (trp_addr_parse(&route->addr, text) == TRP_OK) {
        return NULL;
    }

    route->host = trp_name_relative(text);

    return trp_name_valid(route->host) ? NULL
                                       : "has an invalid destination host";
}


/* digits, or digits on both sides of a dash */

static int
trp_route_is_ports(trp_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if ((text.data[i] < '0' || text.data[i] > '9')
            && (text.data[i] != '-' || i == 0))
        {
            return 0;
        }
    }

    return text.len != 0;
}
