
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

/* a tunnel that did no work, and is lost sooner, counts as a failed dial */

#define NGX_TRP_POOL_SHORT_LIFE    10000


/*
 * How many tunnels are to be dialled now.  If there is no room for any of them,
 * a timer is set: pool->cramped.
 */

ngx_uint_t ngx_trp_pool_missing(ngx_trp_pool_t *pool);

/* 1 if one more stream may come: if it has to wait, it will get a tunnel */

ngx_uint_t ngx_trp_pool_admits(ngx_trp_pool_t *pool);

/* adds "n", which may be negative: the one place that changes pool->total */

void ngx_trp_pool_count(ngx_trp_pool_t *pool, ngx_int_t n);

/*
 * Notes how many tunnels are needed now: so many are to exist.  "known" is how
 * many there should be, if the relay has told: a relay that exaggerates gets
 * twice as many, and has to use them before it gets more.
 */

void ngx_trp_pool_demand(ngx_trp_pool_t *pool, ngx_uint_t known);


#pragma GCC visibility pop


#endif /* _NGX_TRP_POOL_SIZE_H_INCLUDED_ */
