
/*
 * Copyright (C) the trp authors
 */


/*
 * The engine of a server: passes input to the core, and executes the commands
 * of the core.
 */


#ifndef _NGX_TRP_TURN_H_INCLUDED_
#define _NGX_TRP_TURN_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* sets the core's time; to be called before any other function of the core */

void ngx_trp_turn_time(ngx_trp_turn_server_t *server);

/* NGX_ERROR: the input is neither STUN nor ChannelData */

ngx_int_t ngx_trp_turn_input(ngx_trp_turn_server_t *server,
    ngx_trp_turn_origin_t *origin, trp_turn_tuple_t *tuple, u_char *data,
    size_t len);

/*
 * Executes the commands of the core; "origin" is NULL if they are not due to a
 * client's message.  If a command leads here again, the nested call returns at
 * once, and the first call goes on.
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
