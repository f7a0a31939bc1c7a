
/*
 * Copyright (C) the trp authors
 */


/*
 * Clients over TCP and TLS.
 */


#ifndef _NGX_TRP_TURN_TCP_H_INCLUDED_
#define _NGX_TRP_TURN_TCP_H_INCLUDED_


#include "turn/ngx_trp_turn_types.h"


#pragma GCC visibility push(hidden)


/* the content handler of a server */

void ngx_trp_turn_tcp_handler(ngx_stream_session_t *s,
    ngx_trp_turn_server_t *server);

/*
 * "data": data of a peer, which may be dropped if too much is queued:
 * NGX_DECLINED.
 */

ngx_int_t ngx_trp_turn_tcp_send(ngx_trp_turn_client_t *client,
    const u_char *bytes, size_t len, ngx_uint_t data);

/* passes what was read after ConnectionBind on to the peer */

void ngx_trp_turn_tcp_feed(ngx_trp_turn_client_t *client);

/* its allocation has ended: the client has some time to get another one */

void ngx_trp_turn_tcp_freed(ngx_trp_turn_client_t *client);

/* ends the connection, with what is queued and what belongs to it */

void ngx_trp_turn_tcp_close(ngx_trp_turn_client_t *client, ngx_uint_t rc);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TURN_TCP_H_INCLUDED_ */
