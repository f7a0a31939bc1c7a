
/*
 * Copyright (C) the trp authors
 */


/*
 * A near tunnel: between two workers of one nginx, on a pair of Unix sockets.
 * It has no TLS and no authentication, and carries streams from the start.
 */


#ifndef _NGX_TRP_NEAR_H_INCLUDED_
#define _NGX_TRP_NEAR_H_INCLUDED_


#include "tunnel/ngx_trp_tunnel.h"


#pragma GCC visibility push(hidden)


/*
 * Two connected sockets, one for the other worker; NGX_ERROR, logged.
 */

ngx_int_t ngx_trp_near_pair(ngx_socket_t *fds, ngx_log_t *log);

/*
 * A tunnel on one of them, which is watched and is read in this turn of the
 * event loop.  Its data are "size" bytes, zeroed, and live as long.  NULL: no
 * connection or no memory; the socket is closed.
 */

ngx_trp_tunnel_t *ngx_trp_near_create(ngx_socket_t fd, size_t size,
    ngx_trp_tunnels_t *tunnels, const ngx_trp_tunnel_handlers_t *handlers,
    ngx_uint_t relay, ngx_msec_t heartbeat, ngx_log_t *log);


#pragma GCC visibility pop


#endif /* _NGX_TRP_NEAR_H_INCLUDED_ */
