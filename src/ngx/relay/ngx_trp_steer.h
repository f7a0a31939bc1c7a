
/*
 * Copyright (C) the trp authors
 */


/*
 * Hands an accepted connection to another worker.
 *
 * Tunnels of one group must meet in one worker.  A slot, 0..TRP_SLOTS-1,
 * belongs to the worker "slot % workers".  The ClientHello contains a hint of
 * the slot, so that the socket can be passed on before TLS begins.
 */


#ifndef _NGX_TRP_STEER_H_INCLUDED_
#define _NGX_TRP_STEER_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_steer_s  ngx_trp_steer_t;


/*
 * In the master, for each cycle: a channel for every worker, closed with the
 * cycle.  NULL if there is only one worker, which needs none.  A failure is
 * only logged: an error at this point would end the master.
 */

ngx_trp_steer_t *ngx_trp_steer_create(ngx_cycle_t *cycle);

/* in a worker: reads its channel, closes the others' reading ends */

ngx_int_t ngx_trp_steer_init_worker(ngx_cycle_t *cycle, ngx_trp_steer_t *st);


/* 1 if the slot belongs to this worker; "st" may be NULL */

ngx_uint_t ngx_trp_steer_here(ngx_trp_steer_t *st, ngx_uint_t slot);

/*
 * Peeks at what the client has sent.  NGX_DECLINED: the connection stays here.
 * NGX_AGAIN: more bytes are needed.  NGX_DONE: it was passed to another worker;
 * close it here without sending anything to the peer.
 */

ngx_int_t ngx_trp_steer_connection(ngx_trp_steer_t *st, ngx_connection_t *c);

/*
 * An agent is told that its tunnel belongs to another slot.  All workers are
 * told, too: if its next ClientHello has no readable hint, the connection from
 * this address is passed there.
 */

void ngx_trp_steer_moved(ngx_trp_steer_t *st, ngx_connection_t *c,
    ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STEER_H_INCLUDED_ */
