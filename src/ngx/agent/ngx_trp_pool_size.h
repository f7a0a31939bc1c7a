
/*
 * Copyright (C) the trp authors
 */


/*
 * The number of a pool's tunnels.
 */


#ifndef _NGX_TRP_POOL_SIZE_H_INCLUDED_
#define _NGX_TRP_POOL_SIZE_H_INCLUDED_


#include "agent/ngx_trp_pool_types.h"


#pragma GCC visibility push(hidden)


/* the longest wait between two rounds of dialling */

#define NGX_TRP_POOL_BACKOFF_MAX   30000

/* a tunnel of no use that is lost sooner counts as a failure to dial */

#define NGX_TRP_POOL_SHORT_LIFE    10000


/*
 * Tunnels that are to be dialled now.  If there is no room for any of them, a
 * timer is set: pool->cramped.
 */

ngx_uint_t ngx_trp_pool_missing(ngx_trp_pool_t *pool);

/* 1 if one more stream may come: if it waits, it will have a tunnel */

ngx_uint_t ngx_trp_pool_admits(ngx_trp_pool_t *pool);

/* there are "n" more, or less: the one place that changes pool->total */

void ngx_trp_pool_count(ngx_trp_pool_t *pool, ngx_int_t n);

/*
 * Takes note of how many tunnels are needed now: there are to be as many.
 * "known" is how many there should be, if the relay has told: one that
 * exaggerates gets twice as many, and has to use them before there are more.
 */

void ngx_trp_pool_demand(ngx_trp_pool_t *pool, ngx_uint_t known);


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_SIZE_H_INCLUDED_ */
