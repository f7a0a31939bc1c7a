
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
    ngx_str_t   via;              /* what the relay sees in its place, or "" */
    ngx_uint_t  index;            /* in the list */

    unsigned    quic:1;           /* a stream of a QUIC connection */
    unsigned    turn:1;           /* through the TURN server */
    unsigned    proxy:1;          /* through the proxy */
    unsigned    websocket:1;      /* in a WebSocket */

    unsigned    blind:1;          /* needs no address of the relay */
    unsigned    probe:1;          /* for a tunnel that carries no streams */
} ngx_trp_way_t;


/* what the directives of an agent offer to ways */

typedef struct {
    const char  *prefix;          /* "trp_entry", "trp_reverse" */
    ngx_str_t    turn_via;        /* as ngx_trp_way_t has it */
    ngx_str_t    proxy_via;
    unsigned     quic:1;
    unsigned     turn:1;
    unsigned     turn_udp:1;      /* its server is spoken to by UDP: QUIC */
    unsigned     proxy:1;
    unsigned     websocket:1;
    unsigned     apart:1;         /* it is at another host than the relay's */
} ngx_trp_way_offer_t;


/*
 * "WAY ... [probe=TIME] [hold=TIME]", the arguments of the directive in "cf";
 * NULL: an error, logged, or no memory.  The times may be left UNSET.
 */

ngx_array_t *ngx_trp_way_parse(ngx_conf_t *cf, ngx_msec_t *probe,
    ngx_msec_t *hold);

/*
 * Checks the list against what there is; without a list, *ways is made: a
 * single way of all that is set.  Errors are logged at the place of "cf".
 */

ngx_int_t ngx_trp_way_init(ngx_conf_t *cf, ngx_array_t **ways,
    const ngx_trp_way_offer_t *offer);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WAY_H_INCLUDED_ */
