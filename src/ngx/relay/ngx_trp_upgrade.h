
/*
 * Copyright (C) the trp authors
 */


/*
 * Agents that come by a WebSocket, through a web server: the request is
 * answered where stock nginx would begin with TLS, which then is in the
 * WebSocket.
 */


#ifndef _NGX_TRP_UPGRADE_H_INCLUDED_
#define _NGX_TRP_UPGRADE_H_INCLUDED_


#include "websocket/ngx_trp_websocket_bio.h"
#include "websocket/ngx_trp_websocket_key.h"


#pragma GCC visibility push(hidden)


typedef struct {
    size_t                   head;         /* the request's length */
    u_char                   accept[NGX_TRP_WEBSOCKET_ACCEPT];
    ngx_proxy_protocol_t     forwarded;    /* the client's address, or empty */
    ngx_trp_websocket_bio_t  bio;
} ngx_trp_upgrade_t;


/* 1 if a client's first bytes are no TLS, but may be a request */

#define ngx_trp_upgrade_maybe(p)  ((p)[0] >= 'A' && (p)[0] <= 'Z')

/*
 * The beginning of what is in the socket, "size" is all that can be looked at.
 * NGX_OK, then "slot" is the hint or TRP_DECLINED; NGX_AGAIN: the request is
 * incomplete; NGX_ABORT: it was answered with an error, and logged; NGX_ERROR.
 */

ngx_int_t ngx_trp_upgrade_read(ngx_connection_t *c, u_char *p, size_t len,
    size_t size, ngx_trp_upgrade_t **upgrade, int *slot);

/*
 * In the phase of TLS, called until it returns NGX_DECLINED: the handshake is
 * done, and stock nginx goes on from there.
 */

ngx_int_t ngx_trp_upgrade_handler(ngx_stream_session_t *s,
    ngx_trp_upgrade_t *upgrade, ngx_trp_websocket_bio_conf_t *conf);


#pragma GCC visibility pop


#endif /* _NGX_TRP_UPGRADE_H_INCLUDED_ */
