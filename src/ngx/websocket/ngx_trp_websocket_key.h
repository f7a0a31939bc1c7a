
/*
 * Copyright (C) the trp authors
 */


/*
 * The key of a WebSocket's opening handshake, and the value that it requires in
 * the answer.
 */


#ifndef _NGX_TRP_WEBSOCKET_KEY_H_INCLUDED_
#define _NGX_TRP_WEBSOCKET_KEY_H_INCLUDED_


#include "base/ngx_trp.h"


#pragma GCC visibility push(hidden)


#define NGX_TRP_WEBSOCKET_KEY     24     /* 16 bytes in base64 */
#define NGX_TRP_WEBSOCKET_ACCEPT  28     /* 20 bytes in base64 */


/* a new one of NGX_TRP_WEBSOCKET_KEY bytes */

void ngx_trp_websocket_key(u_char *key);

/* NGX_TRP_WEBSOCKET_ACCEPT bytes: RFC 6455, section 4.2.2 */

void ngx_trp_websocket_accept(u_char *accept, const u_char *key, size_t len);


#pragma GCC visibility pop


#endif /* _NGX_TRP_WEBSOCKET_KEY_H_INCLUDED_ */
