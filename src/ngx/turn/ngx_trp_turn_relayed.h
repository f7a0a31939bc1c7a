
/*
 * Copyright (C) the trp authors
 */


/*
 * Relayed addresses: the sockets that peers see, and their traffic.
 */


#ifndef _NGX_TRP_TURN_RELAYED_H_INCLUDED_
#define _NGX_TRP_TURN_RELAYED_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* TRP_TURN_BIND; "accept" is called when a peer connects to one of TCP */

trp_turn_bound_e ngx_trp_turn_relayed_bind(ngx_trp_turn_alloc_t *alloc,
    in_port_t port, uint8_t *families, ngx_event_handler_pt accept);

void ngx_trp_turn_relayed_send(ngx_trp_turn_alloc_t *alloc,
    const trp_turn_command_t *command);
void ngx_trp_turn_relayed_unbind(ngx_trp_turn_alloc_t *alloc, ngx_uint_t v6);
void ngx_trp_turn_relayed_close(ngx_trp_turn_alloc_t *alloc);

/*
 * The address to use for "to", and the source; family 0: any address.  The path
 * to an allocation on this machine stays inside it.  A datagram that comes by
 * this path is from another allocation, whose relayed address becomes "peer".
 */

void ngx_trp_turn_relayed_way(ngx_trp_turn_alloc_t *alloc, ngx_uint_t own,
    trp_taddr_t *to, trp_addr_t *from);
void ngx_trp_turn_relayed_peer(ngx_trp_turn_alloc_t *alloc, trp_taddr_t *peer);

/* as in trp_turn_shared_t; until then a socket holds the port for its client */

int ngx_trp_turn_relayed_reserve(void *data, uint16_t port,
    const uint8_t *token);
uint16_t ngx_trp_turn_relayed_redeem(void *data, const uint8_t *token);

/* gives up the sockets that hold reserved ports */

void ngx_trp_turn_relayed_exit(ngx_trp_turn_worker_t *worker);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_RELAYED_H_INCLUDED_ */
