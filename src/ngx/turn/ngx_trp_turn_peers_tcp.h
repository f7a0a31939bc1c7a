
/*
 * Copyright (C) the trp authors
 */


/*
 * TCP connections of peers (RFC 6062), until a client is attached to them.
 */


#ifndef _NGX_TRP_TURN_PEERS_TCP_H_INCLUDED_
#define _NGX_TRP_TURN_PEERS_TCP_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* TRP_TURN_CONNECT, and TRP_TURN_DISCONNECT or the allocation's end */

void ngx_trp_turn_peers_tcp_connect(ngx_trp_turn_alloc_t *alloc,
    trp_turn_connection_t *connection);
void ngx_trp_turn_peers_tcp_close(trp_turn_connection_t *connection);

/* a peer connects to a relayed address */

void ngx_trp_turn_peers_tcp_accept(ngx_event_t *rev);

/*
 * Attaches a client of this worker to connection "id": returns the peer's
 * socket, which the caller then owns, or -1, and the tally to count in.
 */

ngx_socket_t ngx_trp_turn_peers_tcp_attach(ngx_trp_turn_client_t *client,
    trp_str_t username, ngx_uint_t *tally);

/* MESSAGE_ATTACH: for a client of another worker; payload: the user */

void ngx_trp_turn_peers_tcp_lend(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message, u_char *payload, size_t len);

/* MESSAGE_DETACHED, also of this worker: the client's connection has ended */

void ngx_trp_turn_peers_tcp_detached(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message);

/* adds what went over a connection that has not ended yet */

void ngx_trp_turn_peers_tcp_traffic(trp_turn_connection_t *connection,
    trp_turn_traffic_t *up, trp_turn_traffic_t *down);

/* another worker has ended */

void ngx_trp_turn_peers_tcp_tidy(ngx_trp_turn_worker_t *worker);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_PEERS_TCP_H_INCLUDED_ */
