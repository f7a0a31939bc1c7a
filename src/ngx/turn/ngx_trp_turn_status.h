
/*
 * Copyright (C) the trp authors
 */


/*
 * TURN servers and their users in the table of an operator's view.  Traffic is
 * counted by allocation anyway, and told to the table from time to time, so the
 * data path has nothing to do with it.
 */


#ifndef _NGX_TRP_TURN_STATUS_H_INCLUDED_
#define _NGX_TRP_TURN_STATUS_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* in a worker that has its servers; and when all allocations have ended */

ngx_int_t ngx_trp_turn_status_init(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);
void ngx_trp_turn_status_exit(ngx_trp_turn_worker_t *worker);

/*
 * An allocation begins, and ends: its connections have been counted.  A user
 * has a row from the first one on, so nobody gets one without authentication.
 */

void ngx_trp_turn_status_add(ngx_trp_turn_alloc_t *alloc);
void ngx_trp_turn_status_remove(ngx_trp_turn_alloc_t *alloc);

/* a peer was denied */

void ngx_trp_turn_status_denied(ngx_trp_turn_alloc_t *alloc);

/*
 * Tells the table what there is, of some allocations at a time.  Returns when
 * it is to be called again, in milliseconds; 0: when something has happened.
 */

ngx_msec_t ngx_trp_turn_status_publish(ngx_trp_turn_worker_t *worker);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_STATUS_H_INCLUDED_ */
