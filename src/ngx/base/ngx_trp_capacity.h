
/*
 * Copyright (C) the trp authors
 */


/*
 * How many tunnels the agents of a worker may have.
 *
 * A stream takes two connections beside its tunnel: what the tunnels take in
 * excess, streams do not find.  So tunnels get a third of the connections of
 * a worker, or of its descriptors, of which a connection needs one.  Those
 * that pools keep idle are the administrator's choice; what is left of the
 * third is shared by all pools of a role, as they grow.
 */


#ifndef _NGX_TRP_CAPACITY_H_INCLUDED_
#define _NGX_TRP_CAPACITY_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_uint_t         size;       /* connections that the worker may have */
    ngx_uint_t         free;       /* of them, when it started */
    ngx_uint_t         each;       /* taken by a stream and its tunnel */
    ngx_uint_t         kept;       /* tunnels that pools keep in any case */
    ngx_uint_t         grown;      /* those that they have beyond that */
    ngx_queue_t        gates;      /* ngx_trp_gate_t */
} ngx_trp_capacity_t;


/*
 * Connections that a worker of this cycle may have, those that it has now
 * included; to be called in a worker.
 */

ngx_uint_t ngx_trp_capacity_size(ngx_cycle_t *cycle);

/* of "size" connections, those that are not in use */

ngx_uint_t ngx_trp_capacity_left(ngx_uint_t size);

/*
 * One more agent, of which a stream and its tunnel take "each" connections.
 * The capacity is all zero before the first.  Returns how many tunnels that
 * makes.
 */

ngx_uint_t ngx_trp_capacity_join(ngx_trp_capacity_t *capacity,
    ngx_cycle_t *cycle, ngx_uint_t each);

/* how many tunnels may be added by growth */

ngx_uint_t ngx_trp_capacity_growth(ngx_trp_capacity_t *capacity);


#pragma GCC visibility pop


#endif /* _NGX_TRP_CAPACITY_H_INCLUDED_ */
