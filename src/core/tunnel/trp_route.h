
/*
 * Copyright (C) the trp authors
 */


/*
 * The forms of a route:
 *
 *     port:port          any source, destination 127.0.0.1:port
 *     ip:port:port       the same, but only from that source
 *     port:ip:port       any source, destination ip:port
 *     ip:port:ip:port    source and destination both given
 *
 * The source is an address or a block, the destination an address or a host
 * name.  IPv6 is in brackets: [2001:db8::/32]:5001:[::1]:22.  A port may be a
 * range, FIRST-LAST: that of the destination is as long as that of the ports to
 * listen on, or one port.
 *
 * The port to listen on, and the host and port of the destination, may each be
 * "unix:/PATH".  A destination may have variables ("$"), which are not looked
 * at here: what they yield is read by trp_route_parse_destination().
 */


#ifndef TRP_ROUTE_H_INCLUDED
#define TRP_ROUTE_H_INCLUDED


#include "base/trp_core.h"


#pragma GCC visibility push(hidden)


typedef struct {
    trp_cidr_t      source;        /* addr.family == 0: accept from anywhere */
    uint16_t        listen_port;   /* the first and the last one */
    uint16_t        listen_last;
    trp_str_t       listen_path;   /* "unix:/PATH" in place of the ports */

    trp_addr_t      addr;          /* addr.family == 0: "host" is a name */
    trp_str_t       host;          /* without brackets or a trailing dot, */
    uint16_t        port;          /* or "unix:/PATH" and port 0 */
    trp_str_t       variable;      /* the destination, in place of all three */

    unsigned        each:1;        /* the next port for the next one */
    unsigned        plain:1;       /* the source is written as an address */
    unsigned        low_bits:1;    /* the source had host bits, now cleared */
} trp_route_t;


/*
 * Returns NULL on success, or the rest of an error message that starts with
 * the quoted route: "has an unbracketed IPv6 address, write it as [ADDRESS]".
 * "host" points into "text", or to static text if the route has no host.
 */

const char *trp_route_parse(trp_route_t *route, trp_str_t text);

/* sets addr, host and port from "PORT", "HOST:PORT" or "unix:/PATH" */

const char *trp_route_parse_destination(trp_route_t *route, trp_str_t text);


#pragma GCC visibility pop


#endif /* TRP_ROUTE_H_INCLUDED */
