
/*
 * Copyright (C) the trp authors
 */


/*
 * The row of each relay in the table of the status, and agents that have not
 * come back after a reload.
 */


#ifndef _NGX_TRP_RELAY_STATUS_H_INCLUDED_
#define _NGX_TRP_RELAY_STATUS_H_INCLUDED_


#include "relay/ngx_trp_relay.h"


#pragma GCC visibility push(hidden)


/*
 * In a worker, when its relays have been started; and when it exits.  NGX_ERROR
 * if there is no memory.
 */

ngx_int_t ngx_trp_relay_status_start(ngx_cycle_t *cycle,
    ngx_trp_relay_worker_t *worker);
void ngx_trp_relay_status_stop(ngx_trp_relay_worker_t *worker);


/* when the first of a relay's certificates expires; 0: unknown */

time_t ngx_trp_relay_status_expires(SSL_CTX *ctx);


#pragma GCC visibility pop


#endif /* _NGX_TRP_RELAY_STATUS_H_INCLUDED_ */
