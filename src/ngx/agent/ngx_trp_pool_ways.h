
/*
 * Copyright (C) the trp authors
 */


/*
 * The ways of a pool: which one is dialled by, and probes of better ones.  The
 * tunnels of a way that is left are replaced one by one.
 */


#ifndef _NGX_TRP_POOL_WAYS_H_INCLUDED_
#define _NGX_TRP_POOL_WAYS_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/* NGX_ERROR: no memory; the latter when the pool has got another address */

ngx_int_t ngx_trp_pool_ways_init(ngx_trp_pool_t *pool);
ngx_int_t ngx_trp_pool_ways_gates(ngx_trp_pool_t *pool,
    struct sockaddr *sockaddr, socklen_t socklen);

#define ngx_trp_pool_gate(pool, way)  (pool)->ways[(way)->index].gate

/*
 * A tunnel by this way is ready, or could not be dialled; the last tunnel of
 * the pool is gone, "why" NULL: on purpose; one is idle again, in a pool that
 * has pool->choice.  Not to be called for probes.
 */

void ngx_trp_pool_ways_ready(ngx_trp_pool_t *pool, const ngx_trp_way_t *way);
void ngx_trp_pool_ways_failed(ngx_trp_pool_t *pool, const ngx_trp_way_t *way);
void ngx_trp_pool_ways_lost(ngx_trp_pool_t *pool, const char *why);
void ngx_trp_pool_ways_idle(ngx_trp_link_t *link);

/* the relay's name has no address yet */

void ngx_trp_pool_ways_unresolved(ngx_trp_pool_t *pool, const char *why);

/* a probe is ready; could not be dialled, or is lost */

void ngx_trp_pool_ways_probed(ngx_trp_link_t *link);
void ngx_trp_pool_ways_unprobed(ngx_trp_pool_t *pool);

/* gives up an idle tunnel of a way that was left, if there is one */

void ngx_trp_pool_ways_replace(ngx_trp_pool_t *pool);

/* the pool is given up; 1 if there is no probe left */

ngx_uint_t ngx_trp_pool_ways_gone(ngx_trp_pool_t *pool);


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_WAYS_H_INCLUDED_ */
