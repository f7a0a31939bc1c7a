
/*
 * Copyright (C) the trp authors
 */


/*
 * TCP connections of peers (RFC 6062).  A data connection may arrive in
 * another worker than the allocation's, and then the peer's connection goes
 * there: it is plain TCP, unlike the client's.
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
 * A client asks for a connection; later it gets the peer's socket, or -1 for
 * none, and where to count; and it ends.
 */

void ngx_trp_turn_data_attach(ngx_trp_turn_server_t *server,
    ngx_trp_turn_client_t *client, const trp_turn_command_t *command);
void ngx_trp_turn_data_attached(ngx_trp_turn_client_t *client,
    ngx_socket_t fd, ngx_uint_t tally);
void ngx_trp_turn_data_detach(ngx_trp_turn_client_t *client);

/* there is a new worker, or one has ended */

void ngx_trp_turn_data_ask(ngx_trp_turn_worker_t *worker);
void ngx_trp_turn_peers_tcp_tidy(ngx_trp_turn_worker_t *worker);

/* of another worker; *fd is -1 afterwards if it was needed */

void ngx_trp_turn_data_message(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message, u_char *payload, size_t len,
    ngx_socket_t *fd);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_PEERS_TCP_H_INCLUDED_ */
