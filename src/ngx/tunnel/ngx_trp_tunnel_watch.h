
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


/* closes the tunnel after "msec" unless the timer is set anew until then */

void ngx_trp_tunnel_deadline(ngx_trp_tunnel_t *t, ngx_msec_t msec,
    const char *what);

/* back to heartbeats */

void ngx_trp_tunnel_watch(ngx_trp_tunnel_t *t);


/*
 * Probes a tunnel whose peer may be dead, since another one waits for its
 * place: within seconds it is closed, or has proved to be alive.  Returns 0 if
 * it seems alive, or is about to be closed.
 */

ngx_uint_t ngx_trp_tunnel_probe(ngx_trp_tunnel_t *t);


/* internal: called when the tunnel starts */

void ngx_trp_tunnel_keepalive(ngx_trp_tunnel_t *t);

/* input has arrived while the peer was being probed */

void ngx_trp_tunnel_answered(ngx_trp_tunnel_t *t);

/* its connection's timer has expired; NGX_ERROR, logged: it is to be closed */

ngx_int_t ngx_trp_tunnel_timeout(ngx_trp_tunnel_t *t);


#pragma GCC visibility pop


#endif /* _NGX_TRP_TUNNEL_WATCH_H_INCLUDED_ */
