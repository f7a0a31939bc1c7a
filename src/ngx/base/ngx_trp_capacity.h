
/*
 * Copyright (C) the trp authors
 */


/*
 * How many tunnels the agents of a worker may have.
 *
 * A stream takes two connections in addition to its tunnel, so too many
 * tunnels would leave none for streams.  Tunnels may use a third of the
 * connections of a worker, or of its descriptors, if these are fewer.  The
 * idle tunnels that pools keep are the administrator's choice; the rest of the
 * third is shared by all pools of a role, as they grow.
 */


#ifndef _NGX_TRP_CAPACITY_H_INCLUDED_
#define _NGX_TRP_CAPACITY_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct {
    ngx_uint_t         size;       /* connections that the worker may have */
    ngx_uint_t         free;       /* of these, free when it started */
    ngx_uint_t         each;       /* taken by a stream and its tunnel */
    ngx_uint_t         kept;       /* tunnels that pools always keep */
    ngx_uint_t         grown;      /* tunnels that they have beyond that */
    ngx_queue_t        gates;      /* ngx_trp_gate_t */
} ngx_trp_capacity_t;


/*
 * The number of connections that a worker of this cycle may have, including
 * those in use; to be called in a worker.
 */

ngx_uint_t ngx_trp_capacity_size(ngx_cycle_t *cycle);

/* how many of "size" connections are free */

ngx_uint_t ngx_trp_capacity_left(ngx_uint_t size);

/*
 * Adds an agent; a stream and its tunnel take "each" connections.  The capacity
 * is all zero before the first.  Returns the number of tunnels that all agents
 * may have.
 */

ngx_uint_t ngx_trp_capacity_join(ngx_trp_capacity_t *capacity,
    ngx_cycle_t *cycle, ngx_uint_t each);

/* how many tunnels pools may add by growing */

ngx_uint_t ngx_trp_capacity_growth(ngx_trp_capacity_t *capacity);


#pragma GCC visibility pop


#endif /* _NGX_TRP_CAPACITY_H_INCLUDED_ */
