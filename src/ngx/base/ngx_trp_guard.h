
/*
 * Copyright (C) the trp authors
 */


/*
 * Limits the unauthenticated connections of a worker, in all and per address.
 * If there are too many, the oldest one from the address with the most is
 * closed; if no address has more than the new connection's, the oldest of all,
 * once it has had NGX_TRP_GUARD_TIME.
 */


#ifndef _NGX_TRP_GUARD_H_INCLUDED_
#define _NGX_TRP_GUARD_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* milliseconds that each connection is granted to authenticate */

#define NGX_TRP_GUARD_TIME  500


typedef struct ngx_trp_guest_s  ngx_trp_guest_t;


typedef struct {
    ngx_uint_t             max;
    ngx_uint_t             max_per_address;

    ngx_queue_t            guests;       /* ngx_trp_guest_t, oldest first */
    ngx_uint_t             n;
    ngx_uint_t             strays;       /* gone, and nobody knows what for */
    ngx_rbtree_t           rbtree;       /* by address */
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t           *counts;       /* addresses by number of guests */
    ngx_uint_t             most;
} ngx_trp_guard_t;


/*
 * To be called in a worker; the caller has set the limits, which are capped at
 * 1/parts of the connections of the worker.  NGX_ERROR: out of memory.
 */

ngx_int_t ngx_trp_guard_init(ngx_trp_guard_t *guard, ngx_cycle_t *cycle,
    ngx_uint_t parts);

/*
 * Counts a new connection until its pool, which has the memory for it, is
 * destroyed.  NGX_OK; NGX_BUSY, logged, if there are too many; NGX_ERROR.
 */

ngx_int_t ngx_trp_guard_enter(ngx_trp_guard_t *guard, ngx_connection_t *c,
    ngx_trp_guest_t **guest);

/* the guest that was entered for this connection, or NULL */

ngx_trp_guest_t *ngx_trp_guard_find(ngx_connection_t *c);

/* when it entered; 1 if it is still counted, 0 if it has left or was evicted */

ngx_msec_t ngx_trp_guard_since(ngx_trp_guest_t *guest);
ngx_uint_t ngx_trp_guard_here(ngx_trp_guest_t *guest);

/*
 * Sets the time for authentication, whatever handles the connection until then:
 * its read handler finds the event timed out, in any phase from nginx's TLS
 * handshake to the tunnel's.
 */

void ngx_trp_guard_deadline(ngx_trp_guest_t *guest, ngx_msec_t msec);

/* it has authenticated; may be called again, and with NULL */

void ngx_trp_guard_leave(ngx_trp_guest_t *guest);

/* it is no stray: it has authenticated, was refused, goes to another worker */

void ngx_trp_guard_settle(ngx_trp_guest_t *guest);


#pragma GCC visibility pop


#endif /* _NGX_TRP_GUARD_H_INCLUDED_ */
