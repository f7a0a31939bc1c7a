
/*
 * Copyright (C) the trp authors
 */


/*
 * The engine of a server: what has come goes into the core, and what the core
 * says is carried out.
 */


#ifndef _NGX_TRP_TURN_H_INCLUDED_
#define _NGX_TRP_TURN_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* sets the core's time: before anything else is asked of it */

void ngx_trp_turn_time(ngx_trp_turn_server_t *server);

/* NGX_ERROR: what came is neither STUN nor ChannelData */

ngx_int_t ngx_trp_turn_input(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_tuple_t *tuple, u_char *data,
    size_t len);

/*
 * Carries out what the core says, "origin" is NULL if no client has asked.
 * If a command that is carried out leads here again, it is the first call
 * that goes on.
 */

void ngx_trp_turn_run(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin);

/* the allocation of this tuple in any server of the worker, or NULL */

ngx_trp_turn_alloc_t *ngx_trp_turn_find(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple);

/* of the server's timer */

void ngx_trp_turn_timer_handler(ngx_event_t *ev);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_H_INCLUDED_ */
