
/*
 * Copyright (C) the trp authors
 */


/*
 * Routes of an entry: an address where users come in, and where they go.
 */


#ifndef _NGX_TRP_ROUTE_H_INCLUDED_
#define _NGX_TRP_ROUTE_H_INCLUDED_


#include "base/ngx_trp.h"
#include "base/ngx_trp_target.h"
#include "tunnel/trp_route.h"


#pragma GCC visibility push(hidden)


typedef struct {
    trp_route_t                  route;
    int                          type;      /* SOCK_STREAM, SOCK_DGRAM */
    ngx_sockaddr_t               sockaddr;  /* with the first port */

    ngx_str_t                    listen;    /* as text, "/udp" after it */
    ngx_uint_t                   row;       /* of status */

    ngx_str_t                    host;
    ngx_str_t                    destination;  /* host and port as text */
    ngx_stream_complex_value_t  *value;     /* of it, or NULL: it is fixed */
} ngx_trp_route_t;


/*
 * Adds the routes that "trp_route" describes to those of a server {}, which
 * are NULL if there are none yet, and to those of all servers.  Both are sorted
 * by address and port.  All of them have the row "row".  Returns what a setter
 * does; "set" has what they have in common.
 */

char *ngx_trp_route_set(ngx_conf_t *cf, ngx_array_t **own, ngx_array_t *all,
    ngx_uint_t row, ngx_trp_route_t *set);

/* where the routes lead to, as text: a range of ports, variables */

ngx_int_t ngx_trp_route_text(ngx_pool_t *pool, const ngx_trp_route_t *route,
    ngx_str_t *text);

/* that listens on exactly this address, with its port; or NULL */

ngx_trp_route_t *ngx_trp_route_at(ngx_array_t *routes, int type,
    struct sockaddr *sa);

/* by the connection's local address, which must be known; or NULL */

ngx_trp_route_t *ngx_trp_route_find(ngx_array_t *own, ngx_connection_t *c);

/*
 * Sets the destination of a user who has come by the route, unless it has
 * variables; or NGX_ERROR.
 */

ngx_int_t ngx_trp_route_target(ngx_trp_route_t *route, ngx_connection_t *c,
    ngx_trp_target_t *target);

/* the same for a route with variables; *why is set if they have no use */

ngx_int_t ngx_trp_route_evaluate(ngx_trp_route_t *route,
    ngx_stream_session_t *s, ngx_trp_target_t *target, const char **why);

/* 1 if a route of the server {} has variables */

ngx_uint_t ngx_trp_route_variable(ngx_array_t *own);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ROUTE_H_INCLUDED_ */
