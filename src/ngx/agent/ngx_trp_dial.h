
/*
 * Copyright (C) the trp authors
 */


/*
 * Dials one tunnel: TCP, TLS, HELLO, AUTH, READY.
 */


#ifndef _NGX_TRP_DIAL_H_INCLUDED_
#define _NGX_TRP_DIAL_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/*
 * By a way of the agent's, which is kept as link->way: pool->way may change.
 * NGX_OK: under way; the result is told by pool->dialled, or by the tunnel's
 * "closed" handler.  NGX_ERROR: dialling could not begin.
 */

ngx_int_t ngx_trp_dial(ngx_trp_pool_t *pool, const ngx_trp_way_t *way);

/* HELLO, READY, MOVED */

ngx_int_t ngx_trp_dial_frame(ngx_trp_link_t *link, trp_frame_t *frame);

/* the relay has sent DRAIN: what was dialled with it takes no new tunnels */

void ngx_trp_dial_drain(ngx_trp_link_t *link);

/* the pool has no tunnels: 1 if nothing is left that was dialled for it */

ngx_uint_t ngx_trp_dial_stopped(ngx_trp_pool_t *pool);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIAL_H_INCLUDED_ */
