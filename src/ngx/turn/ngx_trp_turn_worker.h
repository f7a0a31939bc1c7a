
/*
 * Copyright (C) the trp authors
 */


/*
 * The TURN servers of a worker: their start and end, and messages from other
 * workers.
 */


#ifndef _NGX_TRP_TURN_WORKER_H_INCLUDED_
#define _NGX_TRP_TURN_WORKER_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/*
 * In the master, for each cycle: creates what its workers get as a copy when
 * they start.  Completes "confs", which do not change after that.  "old" is the
 * one of the previous cycle, or NULL.
 */

ngx_trp_turn_worker_t *ngx_trp_turn_create_worker(ngx_cycle_t *cycle,
    ngx_array_t *confs, ngx_trp_turn_zone_t *zone,
    ngx_trp_turn_worker_t *old);

/* in a worker: the servers are in the order of "confs" */

ngx_int_t ngx_trp_turn_init_worker(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);
void ngx_trp_turn_exit_worker(ngx_trp_turn_worker_t *worker);

/* the portal has removed the account: its allocations end */

void ngx_trp_turn_remove_account(ngx_trp_turn_worker_t *worker,
    u_char *account);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_WORKER_H_INCLUDED_ */
