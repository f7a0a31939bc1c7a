
/*
 * Copyright (C) the trp authors
 */


/*
 * To which worker an accepted connection belongs.
 *
 * Tunnels of one group must meet in one worker.  The ClientHello contains a
 * hint of the group's slot, so that the socket can be handed over before TLS
 * begins.
 */


#ifndef _NGX_TRP_STEER_H_INCLUDED_
#define _NGX_TRP_STEER_H_INCLUDED_


#include "relay/ngx_trp_upgrade.h"
#include "relay/ngx_trp_workers.h"


#pragma GCC visibility push(hidden)


typedef struct ngx_trp_steer_s  ngx_trp_steer_t;


/* in a worker that has others beside it; NULL: no memory */

ngx_trp_steer_t *ngx_trp_steer_create(ngx_cycle_t *cycle,
    ngx_trp_workers_t *workers);

/* the next connection from this address belongs to the slot */

void ngx_trp_steer_remember(ngx_trp_steer_t *st, struct sockaddr *sockaddr,
    ngx_uint_t slot);


/* 1 if the slot belongs to this worker; "st" may be NULL */

ngx_uint_t ngx_trp_steer_here(ngx_trp_steer_t *st, ngx_uint_t slot);

/*
 * Peeks at what the client has sent.  NGX_DECLINED: the connection stays here.
 * NGX_AGAIN: more bytes are needed.  NGX_DONE: it was passed to another worker,
 * ngx_trp_workers_forget() it.  NGX_ABORT, logged: this is no TLS.  "upgrade"
 * is NULL, or set if this is a request for a WebSocket.
 */

ngx_int_t ngx_trp_steer_connection(ngx_trp_steer_t *st, ngx_connection_t *c,
    ngx_trp_upgrade_t **upgrade);

/*
 * An agent is told that its tunnel belongs to another slot.  All workers are
 * told, too: if its next ClientHello has no readable hint, the connection from
 * this address is passed there.
 */

void ngx_trp_steer_moved(ngx_trp_steer_t *st, ngx_connection_t *c,
    ngx_uint_t slot);


#pragma GCC visibility pop


#endif /* _NGX_TRP_STEER_H_INCLUDED_ */
