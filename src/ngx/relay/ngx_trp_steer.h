
/*
 * Copyright (C) the trp authors
 */


/*
 * Hands an accepted connection to another worker.
 *
 * Tunnels of one group must meet in one worker.  A slot, 0..TRP_SLOTS-1,
 * belongs to the worker "slot % workers".  A hint of the slot stands in the
 * ClientHello, so it can be read before TLS begins, and the socket moved.
 */


#ifndef _NGX_TRP_STEER_H_INCLUDED_
#define _NGX_TRP_STEER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_steer_s  ngx_trp_steer_t;


/*
 * In the master, for each cycle: a channel for every worker, closed with the
 * cycle.  NULL for one worker, who needs none.  A failure is logged and no
 * more: an error at this time would end the master.
 */

ngx_trp_steer_t *ngx_trp_steer_create(ngx_cycle_t *cycle);

/* in a worker: reads its channel, closes the others' reading ends */

ngx_int_t ngx_trp_steer_init_worker(ngx_cycle_t *cycle, ngx_trp_steer_t *st);


/* 1 if the slot belongs to this worker; "st" may be NULL */

ngx_uint_t ngx_trp_steer_here(ngx_trp_steer_t *st, ngx_uint_t slot);

/*
 * Looks at what the client has sent without taking it.  NGX_DECLINED: stays
 * here.  NGX_AGAIN: wait for more bytes.  NGX_DONE: is in another worker's
 * hands, close it here and say nothing to the peer.
 */

ngx_int_t ngx_trp_steer_connection(ngx_trp_steer_t *st, ngx_connection_t *c);

/*
 * An agent hears that its tunnel belongs into another slot.  All workers are
 * told, for a ClientHello without a readable hint: the next one from the same
 * address goes there.
 */

void ngx_trp_steer_moved(ngx_trp_steer_t *st, ngx_connection_t *c,
    ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STEER_H_INCLUDED_ */
