
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients' connections to peers (RFC 6062), from ConnectionBind on.
 */


#ifndef _NGX_TRP_TURN_DATA_H_INCLUDED_
#define _NGX_TRP_TURN_DATA_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* TRP_TURN_ATTACH: a client asks for a connection */

void ngx_trp_turn_data_attach(ngx_trp_turn_server_t *server,
    ngx_trp_turn_client_t *client, const trp_turn_command_t *command);

/* MESSAGE_ATTACHED and _DETACH; if "*fd" is used, it becomes -1 */

void ngx_trp_turn_data_message(ngx_trp_turn_worker_t *worker,
    ngx_trp_turn_message_t *message, ngx_socket_t *fd);

/* a new worker has started, or one has ended */

void ngx_trp_turn_data_ask(ngx_trp_turn_worker_t *worker);
void ngx_trp_turn_data_tidy(ngx_trp_turn_worker_t *worker);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_DATA_H_INCLUDED_ */
