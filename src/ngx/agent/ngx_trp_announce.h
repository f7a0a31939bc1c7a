
/*
 * Copyright (C) the trp authors
 */


/*
 * What a reverse publishes: how a relay is told, and what it answers.
 */


#ifndef _NGX_TRP_ANNOUNCE_H_INCLUDED_
#define _NGX_TRP_ANNOUNCE_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/* a tunnel is ready, with flags of READY: tells the names if they are wanted */

void ngx_trp_announce_ready(ngx_trp_link_t *link, ngx_uint_t flags);

/* PUBLISHED; NGX_ERROR, logged, if it is invalid */

ngx_int_t ngx_trp_announce_result(ngx_trp_link_t *link, trp_frame_t *frame);


#pragma GCC visibility pop


#endif /* _NGX_TRP_ANNOUNCE_H_INCLUDED_ */
