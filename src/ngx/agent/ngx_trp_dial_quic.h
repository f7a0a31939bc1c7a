
/*
 * Copyright (C) the trp authors
 */


/*
 * Tunnels on QUIC: a pool has one connection by each of its ways, as a rule,
 * and a tunnel that is dialled is a stream of it.  The first one is
 * authenticated, which holds for all.
 */


#ifndef _NGX_TRP_DIAL_QUIC_H_INCLUDED_
#define _NGX_TRP_DIAL_QUIC_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/* only in builds with NGX_TRP_QUIC */

/* as ngx_trp_dial(); the connection is dialled first if there is none */

ngx_int_t ngx_trp_dial_quic(ngx_trp_pool_t *pool, const ngx_trp_way_t *way);

/* HELLO, READY, MOVED or DRAIN has come on a link; only HELLO has "flags" */

void ngx_trp_dial_quic_told(ngx_trp_link_t *link, ngx_uint_t type,
    ngx_uint_t flags);

/* closes connections without streams, soon */

void ngx_trp_dial_quic_stop(ngx_trp_pool_t *pool);


#pragma GCC visibility pop


#endif /* _NGX_TRP_DIAL_QUIC_H_INCLUDED_ */
