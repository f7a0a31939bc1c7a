
/*
 * Copyright (C) the trp authors
 */


/*
 * A way to a relay: what a tunnel is dialled through.  An agent has a list of
 * them, the best one first.
 */


#ifndef _NGX_TRP_WAY_H_INCLUDED_
#define _NGX_TRP_WAY_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/*
 * What does not go with a way is not used on it: without "proxy", for example,
 * a relay is dialled without the proxy, even if there is one.
 */

typedef struct {
    ngx_str_t   name;             /* "direct", "quic", "proxy+websocket", … */
    ngx_uint_t  index;            /* in the list */

    unsigned    quic:1;           /* a stream of a QUIC connection */
    unsigned    turn:1;           /* through the TURN server */
    unsigned    proxy:1;          /* through the proxy */
    unsigned    websocket:1;      /* in a WebSocket */
} ngx_trp_way_t;


/*
 * The list of an agent without one: a single way, made of all directives that
 * are set, which are those in "set".  NULL: no memory.
 */

ngx_array_t *ngx_trp_way_only(ngx_conf_t *cf, const ngx_trp_way_t *set);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WAY_H_INCLUDED_ */
