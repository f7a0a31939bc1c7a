
/*
 * Copyright (C) the trp authors
 */


/*
 * Connections that have not yet said who they are, in one worker: how many
 * there are, in all and from one address.  Where there are too many, one of
 * the address that has the most gives way; among equals the one that has been
 * there longest, if it had its time.
 */


#ifndef _NGX_TRP_GUARD_H_INCLUDED_
#define _NGX_TRP_GUARD_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


/* milliseconds that nobody takes from a connection to authenticate */

#define NGX_TRP_GUARD_TIME  500


typedef struct ngx_trp_guest_s  ngx_trp_guest_t;


typedef struct {
    ngx_uint_t             max;
    ngx_uint_t             max_per_address;

    ngx_queue_t            guests;       /* ngx_trp_guest_t, oldest first */
    ngx_uint_t             n;
    ngx_rbtree_t           rbtree;       /* by address */
    ngx_rbtree_node_t      sentinel;
    ngx_queue_t           *counts;       /* addresses by number of guests */
    ngx_uint_t             most;
} ngx_trp_guard_t;


/*
 * In a worker.  The limits are set by the caller; neither is more than the
 * part, one of "parts", of the connections of the worker.  NGX_ERROR: no
 * memory.
 */

ngx_int_t ngx_trp_guard_init(ngx_trp_guard_t *guard, ngx_cycle_t *cycle,
    ngx_uint_t parts);

/*
 * A connection has come.  Its memory is in the connection's pool, and it is
 * no longer counted when that is destroyed.  NGX_OK; NGX_BUSY, logged;
 * NGX_ERROR.
 */

ngx_int_t ngx_trp_guard_enter(ngx_trp_guard_t *guard, ngx_connection_t *c,
    ngx_trp_guest_t **guest);

/* what was entered with this connection, or NULL */

ngx_trp_guest_t *ngx_trp_guard_find(ngx_connection_t *c);

/* when that was; 1 if it still counts, 0 if it was left, or had to give way */

ngx_msec_t ngx_trp_guard_since(ngx_trp_guest_t *guest);
ngx_uint_t ngx_trp_guard_here(ngx_trp_guest_t *guest);

/*
 * It has so long to be known, whatever is done with its connection until then:
 * its reader finds it timed out, from nginx's handshake to the tunnel's.
 */

void ngx_trp_guard_deadline(ngx_trp_guest_t *guest, ngx_msec_t msec);

/* it is known now; may be called again, and with NULL */

void ngx_trp_guard_leave(ngx_trp_guest_t *guest);


#pragma GCC visibility pop


#endif /* _NGX_TRP_GUARD_H_INCLUDED_ */
