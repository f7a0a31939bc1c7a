
/*
 * Copyright (C) the trp authors
 */


/*
 * A tunnel's timer: heartbeats, deadlines, and a peer that may be dead.
 */


#ifndef _NGX_TRP_TUNNEL_WATCH_H_INCLUDED_
#define _NGX_TRP_TUNNEL_WATCH_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel_types.h"


#pragma GCC visibility push(hidden)


/* closes the tunnel after "msec" unless something else is set until then */

void ngx_trp_tunnel_deadline(ngx_trp_tunnel_t *t, ngx_msec_t msec,
    const char *what);

/* back to heartbeats */

void ngx_trp_tunnel_watch(ngx_trp_tunnel_t *t);


/*
 * Somebody waits for the place of a tunnel whose peer may be dead: within some
 * seconds it is closed, or has shown that it lives.  Returns 0 if it is alive
 * as far as is known, or on its way to be closed.
 */

ngx_uint_t ngx_trp_tunnel_probe(ngx_trp_tunnel_t *t);


/* bytes that the socket has, and its peer has not acknowledged */

size_t ngx_trp_tunnel_unsent(ngx_connection_t *c);


/* of the tunnel itself: when the TLS handshake is done */

void ngx_trp_tunnel_socket_options(ngx_trp_tunnel_t *t);

/* something came while the peer was to be found dead */

void ngx_trp_tunnel_answered(ngx_trp_tunnel_t *t);

/* the timer of its connection; NGX_ERROR: it is to be closed, logged */

ngx_int_t ngx_trp_tunnel_timeout(ngx_trp_tunnel_t *t);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_WATCH_H_INCLUDED_ */
