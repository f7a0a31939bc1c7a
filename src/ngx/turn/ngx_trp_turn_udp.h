
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients over UDP, also through reloads.
 */


#ifndef _NGX_TRP_TURN_UDP_H_INCLUDED_
#define _NGX_TRP_TURN_UDP_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* in the master, for each cycle; worker->confs is set */

ngx_int_t ngx_trp_turn_udp_init_sockets(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);

ngx_int_t ngx_trp_turn_udp_init_worker(ngx_trp_turn_worker_t *worker,
    ngx_cycle_t *cycle);

/* a datagram that another worker has received */

void ngx_trp_turn_udp_handed(ngx_trp_turn_worker_t *worker,
    trp_turn_tuple_t *tuple, u_char *data, size_t len);

/* "now": at once, not with the other datagrams of the batch */

void ngx_trp_turn_udp_send(ngx_trp_turn_origin_t *origin,
    ngx_trp_turn_alloc_t *alloc, const trp_turn_tuple_t *tuple,
    const u_char *data, size_t len, ngx_uint_t now);

/* an allocation begins, or ends */

void ngx_trp_turn_udp_add(ngx_trp_turn_alloc_t *alloc);
void ngx_trp_turn_udp_remove(ngx_trp_turn_alloc_t *alloc);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_UDP_H_INCLUDED_ */
